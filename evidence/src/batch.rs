//! Several submissions that travel together: from a member that relays for many parties to a node, and
//! between the nodes. A batch has no meaning of its own; each submission stands or falls alone.

use crate::codec::{Bytes, Format};
use crate::format_tag;
use crate::submission::Submission;
use minicbor::{Decode, Encode};

format_tag!(
    /// Tag of a batch.
    BatchTag = "qz/batch/v1"
);

/// Encoded submissions, in no particular order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SubmissionBatch {
    /// Format tag.
    #[n(0)]
    pub tag: BatchTag,
    /// Encoded [`Submission`]s; at most [`SubmissionBatch::MAX_SUBMISSIONS`].
    #[n(1)]
    pub submissions: Vec<Bytes>,
}

impl Format for SubmissionBatch {
    const NAME: &'static str = "batch of submissions";
    const MAX_BYTES: usize = 512 * 1024;
}

impl SubmissionBatch {
    /// Most submissions of a batch.
    pub const MAX_SUBMISSIONS: usize = 256;
    /// Bytes of a batch besides its submissions, at most: map, tag, array head.
    const OVERHEAD: usize = 32;
    /// CBOR head of one submission, at most.
    const HEAD: usize = 3;

    /// Takes as many from the front of `submissions` as one batch can carry, at least one if there is one.
    pub fn take_from<T: AsRef<[u8]>>(submissions: &mut std::collections::VecDeque<T>) -> Option<Self> {
        let mut room = Self::MAX_BYTES - Self::OVERHEAD;
        let mut taken = vec![];
        while let Some(next) = submissions.front() {
            let needed = next.as_ref().len() + Self::HEAD;
            if taken.len() == Self::MAX_SUBMISSIONS || needed > room {
                break;
            }
            room -= needed;
            taken.push(Bytes(next.as_ref().to_vec()));
            submissions.pop_front();
        }
        (!taken.is_empty()).then_some(Self { tag: BatchTag, submissions: taken })
    }
}

// Any one submission fits, so `take_from` always makes progress.
const _: () = assert!(<Submission as Format>::MAX_BYTES + 64 < <SubmissionBatch as Format>::MAX_BYTES);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec::{decode_strict, encode};
    use std::collections::VecDeque;

    #[test]
    fn batches_keep_order_and_bounds() {
        for (count, size) in [(0, 0), (1, Submission::MAX_BYTES), (600, 10), (100, Submission::MAX_BYTES), (300, 2040)]
        {
            let all: Vec<Vec<u8>> = (0..count).map(|i| vec![u8::try_from(i % 251).unwrap(); size]).collect();
            let mut queue: VecDeque<_> = all.iter().collect();
            let mut back = vec![];
            while let Some(batch) = SubmissionBatch::take_from(&mut queue) {
                assert!(batch.submissions.len() <= SubmissionBatch::MAX_SUBMISSIONS);
                let decoded: SubmissionBatch = decode_strict(&encode(&batch)).unwrap();
                back.extend(decoded.submissions.into_iter().map(|bytes| bytes.0));
            }
            assert_eq!(back, all);
        }
    }
}
