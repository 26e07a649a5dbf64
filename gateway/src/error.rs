//! Why a service of the gateway could not do its work, with blame kept apart: the request, the ledger,
//! or the gateway itself. HTTP statuses are decided in `server::problem` alone.

use qz_client::{ClientError, KeyError};
use qz_document::ca::CaError;
use qz_document::cms::CmsError;
use qz_document::inspect::PdfError;
use qz_document::render::RenderError;
use qz_document::seal::SealError;
use qz_document::sign::SignError;
use qz_domain::Refusal;
use qz_storage::{BlobError, EncryptionError, StorageError};
use thiserror::Error;

/// How the message of [`ServiceError::RefusedOnce`] begins.
pub const REFUSED_ONCE: &str = "refused by a node";

/// How the message of [`ServiceError::Timestamp`] begins.
pub const NO_TIMESTAMP: &str = "no timestamp yet";

/// How the message of [`ServiceError::StatusUnknown`] begins.
pub const STATUS_UNKNOWN: &str = "the status of the X.509 certificate is not known yet";

/// How the message of [`ServiceError::AwaitsSignature`] begins.
pub const AWAITS_SIGNATURE: &str = "awaits the signature of a key outside of the gateway";

/// An error of the gateway's services.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// The request is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The uploaded PDF is refused.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// A seal cannot be drawn from these texts.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A document cannot be rendered from these data.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// A PDF revision cannot be prepared or completed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The ledger's nodes.
    #[error(transparent)]
    Ledger(#[from] ClientError),
    /// Witnesses or the timestamp authority. Nothing takes their place.
    #[error("the proof is not anchored yet: {0}")]
    Anchor(#[source] Box<qz_client::AnchorError>),
    /// No timestamp for a signature. Nothing takes its place.
    #[error("{NO_TIMESTAMP}: {0}")]
    Timestamp(#[source] Box<qz_client::TsaError>),
    /// Nothing says whether the signer's certificate was revoked. Nothing takes its place.
    #[error("{STATUS_UNKNOWN}: neither a revocation list nor an OCSP responder of its CA answers")]
    StatusUnknown,
    /// The seal's key is elsewhere and its signature was not brought yet.
    #[error("{AWAITS_SIGNATURE}: GET …/to-be-signed, POST …/external-signature")]
    AwaitsSignature,
    /// The relay key does not sign (a PKCS#11 token that is away).
    #[error("relay key: {0}")]
    RelayKey(#[source] KeyError),
    /// No node knows what must exist; it may be behind.
    #[error("no node has {0} yet")]
    NotYet(String),
    /// Refused by one node; a refusal counts when it is repeated, since a node that lags may refuse what
    /// the others accept.
    #[error("{REFUSED_ONCE} ({0}); asking again")]
    RefusedOnce(String),
    /// A node's proof does not hold; another node's may. Nothing is signed on its ground.
    #[error("the proof does not hold: {0}")]
    Proof(String),
    /// The key service does not sign: what was recorded is not what was prepared.
    #[error("nothing is signed: {0}")]
    Withheld(String),
    /// A key or X.509 certificate.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A print copy cannot be made.
    #[error(transparent)]
    Copy(#[from] qz_document::copy::CopyError),
    /// Seal data of GB/T 38540.
    #[error(transparent)]
    SealData(#[from] qz_document::ses::SesError),
    /// Validation data cannot be added.
    #[error(transparent)]
    Ltv(#[from] qz_document::ltv::LtvError),
    /// The private key of a seal.
    #[error(transparent)]
    SealKey(#[from] qz_document::ca::KeyError),
    /// A CMS object.
    #[error(transparent)]
    Cms(#[from] CmsError),
    /// Rows.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Blobs.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Encrypted columns and keys.
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
    /// What we stored ourselves makes no sense.
    #[error("stored data are damaged: {0}")]
    Damaged(String),
}

impl ServiceError {
    /// May the same work succeed later without anybody's help?
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Ledger(error) => error.is_temporary(),
            Self::Anchor(error) => error.is_temporary(),
            Self::Timestamp(error) => error.is_temporary(),
            Self::NotYet(_)
            | Self::AwaitsSignature
            | Self::StatusUnknown
            | Self::RefusedOnce(_)
            | Self::Proof(_)
            | Self::Blob(_)
            | Self::RelayKey(_) => true,
            Self::Storage(error) => matches!(
                error,
                StorageError::Stale { .. }
                    | StorageError::Busy { .. }
                    | StorageError::WriterTimeout { .. }
                    | StorageError::File { .. }
                    | StorageError::Database { .. }
                    | StorageError::Blob(_)
            ),
            _ => false,
        }
    }
}

/// Runs computing work (PDF, Typst) off the async threads.
pub async fn blocking<T: Send + 'static, E: Into<ServiceError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, ServiceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(error) => Err(ServiceError::Damaged(format!("a computation ended abnormally: {error}"))),
    }
}
