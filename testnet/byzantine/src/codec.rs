//! The node's codec, with one difference: a message can be replaced by garbage on its way out.

use std::io;

use bytes::Bytes;
use malachitebft_app::types::SignedConsensusMsg;
use malachitebft_app::types::codec::{Codec, HasEncodedLen};
use malachitebft_app::types::streaming::StreamMessage;
use malachitebft_core_consensus::LivenessMsg;
use malachitebft_core_types::ValidatorProof;
use malachitebft_sync::{Request, Response, Status};
use qz_node::seam::{BorshCodec, Ctx, Height, Part};

use crate::hand::random;

/// Votes of this height, parts of this number and sync answers that begin at it leave as garbage.
pub(crate) const GARBAGE: Height = Height(u64::MAX);

/// Borsh, and garbage on demand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForgingCodec;

macro_rules! as_the_node_does {
    ($($message:ty),* $(,)?) => { $(
        impl Codec<$message> for ForgingCodec {
            type Error = io::Error;

            fn decode(&self, bytes: Bytes) -> io::Result<$message> {
                BorshCodec.decode(bytes)
            }

            fn encode(&self, message: &$message) -> io::Result<Bytes> {
                BorshCodec.encode(message)
            }
        }
    )* };
}

as_the_node_does!(Part, LivenessMsg<Ctx>, ValidatorProof<Ctx>, Status<Ctx>, Request<Ctx>);

impl Codec<StreamMessage<Part>> for ForgingCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<StreamMessage<Part>> {
        BorshCodec.decode(bytes)
    }

    fn encode(&self, message: &StreamMessage<Part>) -> io::Result<Bytes> {
        if message.sequence == GARBAGE.0 {
            return Ok(Bytes::copy_from_slice(&random::<300>()));
        }
        BorshCodec.encode(message)
    }
}

impl Codec<SignedConsensusMsg<Ctx>> for ForgingCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<SignedConsensusMsg<Ctx>> {
        BorshCodec.decode(bytes)
    }

    fn encode(&self, message: &SignedConsensusMsg<Ctx>) -> io::Result<Bytes> {
        if message.height() == GARBAGE {
            return Ok(Bytes::copy_from_slice(&random::<300>()));
        }
        BorshCodec.encode(message)
    }
}

impl Codec<Response<Ctx>> for ForgingCodec {
    type Error = io::Error;

    fn decode(&self, bytes: Bytes) -> io::Result<Response<Ctx>> {
        BorshCodec.decode(bytes)
    }

    fn encode(&self, message: &Response<Ctx>) -> io::Result<Bytes> {
        let Response::ValueResponse(response) = message;
        if response.start_height == GARBAGE {
            return Ok(Bytes::copy_from_slice(&random::<3000>()));
        }
        BorshCodec.encode(message)
    }
}

impl HasEncodedLen<Response<Ctx>> for ForgingCodec {
    fn encoded_len(&self, message: &Response<Ctx>) -> io::Result<usize> {
        BorshCodec.encoded_len(message)
    }
}
