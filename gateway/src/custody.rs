//! Where the private keys of seals are kept: in the encrypted key store (a row that holds PKCS#8) or in a
//! PKCS#11 token (a row that holds the key's label there). Chosen per key; the gateway's settings say what is
//! used when a request does not.

use crate::error::ServiceError;
use qz_client::{SignerKind, TokenLocation, TokenSigner};
use qz_document::key::{ExternalKey, KeyAlgorithm, KeyError, SealKey};
use qz_domain::Refusal;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// How a row says that its key is in the token; PKCS#8 begins otherwise.
const IN_TOKEN: &[u8] = b"pkcs11:";
/// What the row of a key outside of the gateway holds.
pub const OUTSIDE: &[u8] = b"outside";

/// Settings of seals' keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealKeysConfig {
    /// What kind of key is made when a request names none.
    #[serde(default)]
    pub algorithm: KeyAlgorithm,
    /// Where it is kept when a request does not say.
    #[serde(default)]
    pub store: Store,
    /// The PKCS#11 token, if there is one.
    #[serde(default)]
    pub token: Option<TokenConfig>,
}

/// A PKCS#11 token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// The module, such as `/usr/lib/softhsm/libsofthsm2.so`.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// File with the user PIN, readable by the gateway alone.
    pub pin_file: PathBuf,
}

/// Where a key is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// The encrypted key store.
    #[default]
    File,
    /// The PKCS#11 token.
    Token,
}

/// PKCS#11 (version 3.1) has no mechanism for SM2; what tokens offer is each maker's own.
const SM2_IN_TOKEN: (&str, &str) = (
    "PKCS#11 密码设备没有标准的 SM2 机制：SM2 密钥请保存在加密密钥库（store 为 file），或使用外部密钥（external_certificate）；密码设备内请选用 p256 或 rsa3072",
    "PKCS#11 has no standard mechanism for SM2: keep an SM2 key in the encrypted store (store: file) or outside \
     (external_certificate); in a token choose p256 or rsa3072",
);

impl SealKeysConfig {
    /// Is the configured kind of key possible in the configured place?
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self) -> anyhow::Result<()> {
        match (self.algorithm, self.store) {
            (KeyAlgorithm::Sm2, Store::Token) => anyhow::bail!("seal_keys: {} / {}", SM2_IN_TOKEN.0, SM2_IN_TOKEN.1),
            _ => Ok(()),
        }
    }
}

/// What a request wants for a key.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyChoice {
    /// `p256`, `rsa3072` or `sm2` (in the store only, and unknown to PDF readers outside China).
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "p256")]
    pub algorithm: Option<KeyAlgorithm>,
    /// `file` or `token`.
    #[serde(default)]
    pub store: Option<Store>,
}

/// A new key and what its row holds.
pub struct Kept {
    /// The key.
    pub key: SealKey,
    /// For [`open`].
    pub row: Zeroizing<Vec<u8>>,
}

/// Makes a key. RSA and tokens take their time: not for an async thread.
pub fn generate(config: &SealKeysConfig, choice: KeyChoice, label: &str) -> Result<Kept, ServiceError> {
    let algorithm = choice.algorithm.unwrap_or(config.algorithm);
    match choice.store.unwrap_or(config.store) {
        Store::File => {
            let key = SealKey::generate_for(algorithm)?;
            let row = key.to_pkcs8_der()?;
            Ok(Kept { key, row })
        }
        Store::Token => {
            let kind = match algorithm {
                KeyAlgorithm::Rsa => SignerKind::Rsa3072,
                KeyAlgorithm::EcdsaP256 => SignerKind::EcdsaP256,
                KeyAlgorithm::Sm2 => {
                    return Err(Refusal::invalid("key.sm2_token", SM2_IN_TOKEN.0, SM2_IN_TOKEN.1).into());
                }
            };
            let signer = TokenSigner::generate(&location(config, label)?, kind).map_err(device)?;
            let row = Zeroizing::new([IN_TOKEN, label.as_bytes()].concat());
            Ok(Kept { key: SealKey::external(Arc::new(InToken(signer))), row })
        }
    }
}

/// The key of a row; nothing if it is outside of the gateway.
pub fn open(config: &SealKeysConfig, row: &[u8]) -> Result<Option<SealKey>, ServiceError> {
    if row == OUTSIDE {
        return Ok(None);
    }
    let Some(label) = row.strip_prefix(IN_TOKEN) else { return Ok(Some(SealKey::from_pkcs8_der(row)?)) };
    let label = std::str::from_utf8(label).map_err(|_| ServiceError::Damaged("the label of a key".into()))?;
    let signer = TokenSigner::open(&location(config, label)?).map_err(device)?;
    Ok(Some(SealKey::external(Arc::new(InToken(signer)))))
}

fn location(config: &SealKeysConfig, label: &str) -> Result<TokenLocation, ServiceError> {
    let Some(token) = &config.token else {
        return Err(Refusal::state(
            "key.no_token",
            "本平台未配置 PKCS#11 密码设备（gateway.json 的 seal_keys.token）",
            "no PKCS#11 token is configured (seal_keys.token in gateway.json)",
        )
        .into());
    };
    let unusable = |error: String| ServiceError::SealKey(KeyError::Device(error));
    let pin = qz_client::read_secret(&token.pin_file).map_err(|error| unusable(error.to_string()))?;
    let pin = std::str::from_utf8(pin.trim_ascii_end()).map_err(|_| unusable("the PIN is no text".into()))?;
    Ok(TokenLocation {
        module: token.module.clone(),
        token: token.token.clone(),
        label: label.to_owned(),
        pin: pin.to_owned(),
    })
}

fn device(error: qz_client::TokenError) -> ServiceError {
    ServiceError::SealKey(KeyError::Device(error.to_string()))
}

struct InToken(TokenSigner);

impl ExternalKey for InToken {
    fn algorithm(&self) -> KeyAlgorithm {
        match self.0.kind() {
            SignerKind::EcdsaP256 => KeyAlgorithm::EcdsaP256,
            SignerKind::Rsa3072 => KeyAlgorithm::Rsa,
        }
    }

    fn public_key_der(&self) -> Vec<u8> {
        self.0.public_key_der().to_vec()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        self.0.sign(message).map_err(|error| error.to_string())
    }
}
