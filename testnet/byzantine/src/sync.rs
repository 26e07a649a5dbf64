//! Wrong answers to peers that catch up.

use malachitebft_sync::{RawDecidedValue, Response, ValueResponse};
use qz_chain::Block;
use qz_evidence::{decode_strict, encode};
use qz_node::seam::{Ctx, Height, Signature, without_extensions};

use crate::codec::GARBAGE;
use crate::hand::random;

/// Names of the ways in which [`wrong`] answers.
pub(crate) const WAYS: [&str; 7] = [
    "bytes that are no answer",
    "garbage under genuine certificates",
    "changed bodies under genuine headers",
    "certificates with false signatures",
    "certificates without signatures",
    "blocks of other heights",
    "nothing",
];

/// What is said instead of a genuine answer.
pub(crate) fn wrong(genuine: Response<Ctx>, way: &str) -> Response<Ctx> {
    let Response::ValueResponse(ValueResponse { start_height, mut values }) = genuine;
    let mut start: Height = start_height;
    match way {
        "bytes that are no answer" => start = GARBAGE,
        "garbage under genuine certificates" => {
            for value in &mut values {
                value.value_bytes = random::<500>().to_vec().into();
            }
        }
        "changed bodies under genuine headers" => values.iter_mut().for_each(change_body),
        "certificates with false signatures" => values.iter_mut().for_each(|value| {
            resign(value, |signatures| {
                signatures.iter_mut().for_each(|signed| signed.signature = Signature(random()));
            });
        }),
        "certificates without signatures" => values.iter_mut().for_each(|value| resign(value, Vec::clear)),
        "blocks of other heights" => values.reverse(),
        _ => values.clear(),
    }
    Response::ValueResponse(ValueResponse::new(start, values))
}

/// Takes the submissions out, or puts one in.
fn change_body(value: &mut RawDecidedValue<Ctx>) {
    if let Ok(mut block) = decode_strict::<Block>(&value.value_bytes) {
        if block.submissions.is_empty() {
            block.submissions.push(random::<100>().to_vec().into());
        } else {
            block.submissions.clear();
        }
        value.value_bytes = encode(&block).into();
    }
}

fn resign(
    value: &mut RawDecidedValue<Ctx>, change: impl FnOnce(&mut Vec<malachitebft_core_types::CommitSignature<Ctx>>),
) {
    let mut certificate = value.certificate.trim_vote_extensions();
    change(&mut certificate.commit_signatures);
    value.certificate = without_extensions(certificate);
}
