//! Wire and WAL codecs of the engine's messages: borsh, with hand-written forms for the two types
//! that the engine cannot encode itself.

use std::io;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;
use malachitebft_app_channel::app::streaming::{StreamContent, StreamId, StreamMessage};
use malachitebft_app_channel::app::types::codec::{Codec, HasEncodedLen};
use malachitebft_app_channel::app::types::{ProposedValue, SignedConsensusMsg};
use malachitebft_core_consensus::LivenessMsg;
use malachitebft_core_types::{
    CommitCertificate, ExtendedCommitCertificate, PolkaCertificate, ValidatorProof, VoteExtensions,
};
use malachitebft_sync::{RawDecidedValue, Request, Response, Status, ValueRequest, ValueResponse};

use super::context::{Ctx, Height, Part, Signature};
use crate::peers::{Network, Offence, PeerStats};

/// Borsh for everything on the wire and in the engine's WAL.
#[derive(Copy, Clone, Debug)]
pub struct BorshCodec;

macro_rules! plain_borsh {
    ($($message:ty),* $(,)?) => { $(
        impl Codec<$message> for BorshCodec {
            type Error = io::Error;

            fn decode(&self, bytes: Bytes) -> io::Result<$message> {
                <$message>::try_from_slice(&bytes)
            }

            fn encode(&self, message: &$message) -> io::Result<Bytes> {
                borsh::to_vec(message).map(Bytes::from)
            }
        }
    )* };
}

plain_borsh!(
    Part,
    SignedConsensusMsg<Ctx>,
    LivenessMsg<Ctx>,
    StreamMessage<Part>,
    ProposedValue<Ctx>,
    PolkaCertificate<Ctx>,
    Status<Ctx>,
    Request<Ctx>,
);

/// Wire form of a sync response: vote extensions do not exist on this chain, so a plain commit
/// certificate carries everything.
#[derive(BorshSerialize, BorshDeserialize)]
struct SyncResponse {
    start: Height,
    values: Vec<(Vec<u8>, CommitCertificate<Ctx>)>,
}

impl Codec<Response<Ctx>> for BorshCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<Response<Ctx>> {
        let SyncResponse { start, values } = SyncResponse::try_from_slice(&bytes)?;
        let values = values
            .into_iter()
            .map(|(block, certificate)| RawDecidedValue::new(block.into(), without_extensions(certificate)))
            .collect();
        Ok(Response::ValueResponse(ValueResponse::new(start, values)))
    }

    fn encode(&self, message: &Response<Ctx>) -> io::Result<Bytes> {
        let Response::ValueResponse(response) = message;
        let values = response
            .values
            .iter()
            .map(|value| (value.value_bytes.to_vec(), value.certificate.trim_vote_extensions()))
            .collect();
        borsh::to_vec(&SyncResponse { start: response.start_height, values }).map(Bytes::from)
    }
}

impl HasEncodedLen<Response<Ctx>> for BorshCodec {
    fn encoded_len(&self, message: &Response<Ctx>) -> io::Result<usize> {
        Codec::<Response<Ctx>>::encode(self, message).map(|bytes| bytes.len())
    }
}

impl Codec<ValidatorProof<Ctx>> for BorshCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<ValidatorProof<Ctx>> {
        let (public_key, peer_id, signature) = <(Vec<u8>, Vec<u8>, Signature)>::try_from_slice(&bytes)?;
        Ok(ValidatorProof::new(public_key, peer_id, signature))
    }

    fn encode(&self, proof: &ValidatorProof<Ctx>) -> io::Result<Bytes> {
        borsh::to_vec(&(&proof.public_key, &proof.peer_id, &proof.signature)).map(Bytes::from)
    }
}

/// What becomes of a message that does not decode. The engine drops it and tells only its log who sent it.
pub(crate) trait Undecodable: Sized {
    /// What the engine is given in its place, so that [`super::gate`] hears of the sender: no honest node sends
    /// this. None: the engine drops the message.
    fn stand_in() -> Option<Self> {
        None
    }

    /// Does the gate hear of it and account for it? Not so of what neighbours pass on without a publisher's
    /// signature: they did not write it, so nobody is refused for it.
    const ATTRIBUTED: bool = false;
}

impl Undecodable for Part {}
impl Undecodable for SignedConsensusMsg<Ctx> {}
impl Undecodable for LivenessMsg<Ctx> {}
impl Undecodable for ProposedValue<Ctx> {}
impl Undecodable for PolkaCertificate<Ctx> {}
impl Undecodable for Status<Ctx> {}
impl Undecodable for ValidatorProof<Ctx> {}

impl Undecodable for StreamMessage<Part> {
    /// The publisher's signature is on it.
    const ATTRIBUTED: bool = true;

    fn stand_in() -> Option<Self> {
        Some(Self::new(StreamId::new(Bytes::new()), u64::MAX, StreamContent::Fin))
    }
}

impl Undecodable for Request<Ctx> {
    const ATTRIBUTED: bool = true;

    fn stand_in() -> Option<Self> {
        Some(Self::ValueRequest(ValueRequest::new(Height(1)..=Height(0))))
    }
}

impl Undecodable for Response<Ctx> {
    /// The engine reports it as no response of that peer.
    const ATTRIBUTED: bool = true;
}

/// The same, with an account of what peers send that does not decode.
#[derive(Clone, Debug)]
pub(crate) struct CountingCodec(pub Arc<PeerStats>);

impl<T: Undecodable> Codec<T> for CountingCodec
where
    BorshCodec: Codec<T, Error = io::Error>,
{
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<T> {
        let decoded = BorshCodec.decode(bytes);
        if decoded.is_err() && !T::ATTRIBUTED {
            self.0.count(Network::Consensus, Offence::Malformed);
        }
        decoded.or_else(|error| T::stand_in().ok_or(error))
    }

    fn encode(&self, message: &T) -> io::Result<Bytes> {
        BorshCodec.encode(message)
    }
}

impl<T: Undecodable> HasEncodedLen<T> for CountingCodec
where
    BorshCodec: Codec<T, Error = io::Error> + HasEncodedLen<T>,
{
    fn encoded_len(&self, message: &T) -> io::Result<usize> {
        BorshCodec.encoded_len(message)
    }
}

/// The extended form that the engine's sync wants of a certificate without extensions.
pub fn without_extensions(certificate: CommitCertificate<Ctx>) -> ExtendedCommitCertificate<Ctx> {
    ExtendedCommitCertificate::from_commit_certificate_and_extensions(certificate, VoteExtensions::new(Vec::new()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use malachitebft_core_types::{CommitSignature, NilOrVal, Round, SignedVote, Validity, VoteType};

    use super::super::context::{Address, BlockId, Value, Vote};
    use super::*;

    fn round_trip<T>(message: &T) -> T
    where
        BorshCodec: Codec<T, Error = io::Error>,
    {
        let bytes = BorshCodec.encode(message).unwrap();
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert!(Codec::<T>::decode(&BorshCodec, Bytes::from(longer)).is_err(), "a trailing byte is refused");
        BorshCodec.decode(bytes).unwrap()
    }

    #[test]
    fn messages_survive_the_wire() {
        let part = StreamMessage::new(
            StreamId::new(Bytes::from_static(b"s")),
            1,
            StreamContent::Data(Part::Data(vec![1, 2, 3])),
        );
        assert_eq!(round_trip(&part), part);

        let vote = Vote {
            kind: VoteType::Precommit,
            height: Height(3),
            round: Round::new(1),
            value: NilOrVal::Val(BlockId([7; 32])),
            address: Address([1; 32]),
        };
        let message: SignedConsensusMsg<Ctx> = SignedConsensusMsg::Vote(SignedVote::new(vote, Signature([5; 64])));
        assert_eq!(round_trip(&message), message);

        let value: ProposedValue<Ctx> = ProposedValue {
            height: Height(3),
            round: Round::new(1),
            valid_round: Round::Nil,
            proposer: Address([1; 32]),
            value: Value { id: BlockId([7; 32]) },
            validity: Validity::Valid,
        };
        assert_eq!(round_trip(&value), value);

        let proof: ValidatorProof<Ctx> = ValidatorProof::new(vec![1; 32], vec![2; 38], Signature([3; 64]));
        assert_eq!(round_trip(&proof), proof);
    }

    #[test]
    fn what_does_not_decode_is_counted() {
        let stats = Arc::new(PeerStats::default());
        let codec = CountingCodec(stats.clone());
        let garbage = Bytes::from_static(b"no message");
        assert!(Codec::<SignedConsensusMsg<Ctx>>::decode(&codec, garbage.clone()).is_err());
        assert!(stats.snapshot().contains(&("qz_peer_malformed_total", "consensus", 1)));
        // The gate accounts for these.
        assert!(Codec::<Response<Ctx>>::decode(&codec, garbage.clone()).is_err());
        let part = Codec::<StreamMessage<Part>>::decode(&codec, garbage.clone()).unwrap();
        assert_eq!(Some(part), StreamMessage::stand_in());
        let request = Codec::<Request<Ctx>>::decode(&codec, garbage).unwrap();
        assert_eq!(Some(request), Request::stand_in());
        assert!(stats.snapshot().contains(&("qz_peer_malformed_total", "consensus", 1)));
    }

    #[test]
    fn sync_responses_keep_blocks_and_certificates() {
        let certificate: CommitCertificate<Ctx> = CommitCertificate {
            height: Height(9),
            round: Round::new(0),
            value_id: BlockId([8; 32]),
            commit_signatures: vec![CommitSignature::new(Address([1; 32]), Signature([2; 64]))],
        };
        let response = Response::ValueResponse(ValueResponse::new(
            Height(9),
            vec![RawDecidedValue::new(Bytes::from_static(b"block"), without_extensions(certificate.clone()))],
        ));
        let Response::ValueResponse(back) = round_trip(&response);
        assert_eq!(back.start_height, Height(9));
        assert_eq!(back.values[0].value_bytes.as_ref(), b"block");
        assert_eq!(back.values[0].certificate.trim_vote_extensions(), certificate);
    }
}
