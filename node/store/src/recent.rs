//! What the last blocks wrote and what was looked up lately, as of the tip: admission asks for a submission's
//! subjects, body and number, and soon after execution asks again, for the same answers. Only speed depends on
//! this: what is forgotten is read from the database again.
//!
//! **Why an answer is never old.** Every entry says as of which height it is true, and every block that changes it
//! replaces it *before* the block is written, so before any view of that block can exist. A view therefore takes
//! an entry of its own height or below as it is, and leaves one of a later height alone. What a view reads from
//! the database is remembered only while no block came after the view.

use crate::keys;
use qz_chain::generations::Generations;
use qz_chain::{ChangeSet, Subject};
use qz_evidence::{Hash32, Height, SubjectId};
use std::sync::Arc;

/// Subjects of a generation, about 1 KiB each.
const SUBJECTS: usize = 65_536;
/// Digests and numbers of a generation, about 100 bytes each.
const LOOK_UPS: usize = 32_768;

/// A subject with the height of the block that last changed it.
type Written = (Height, Arc<Subject>);

/// An answer, and as of which height.
struct AsOf<T> {
    height: Height,
    answer: T,
}

impl<T> AsOf<T> {
    fn at(&self, tip: Height) -> Option<&T> {
        (self.height <= tip).then_some(&self.answer)
    }
}

/// Recent answers; `None` of an inner option means that there is no such thing on the ledger.
pub(crate) struct Recent {
    /// Of the last block that was committed, or the newest view that was read from.
    tip: Height,
    subjects: Generations<SubjectId, AsOf<Option<Written>>>,
    bodies: Generations<Hash32, AsOf<Option<Height>>>,
    ids: Generations<Vec<u8>, AsOf<Option<Height>>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            tip: Height(0),
            subjects: Generations::new(SUBJECTS),
            bodies: Generations::new(LOOK_UPS),
            ids: Generations::new(LOOK_UPS),
        }
    }
}

impl Recent {
    /// A block is about to be written.
    pub(crate) fn commit(&mut self, changes: &ChangeSet) {
        let height = changes.height;
        self.tip = height;
        for (id, subject) in &changes.subjects {
            self.subjects.put(*id, AsOf { height, answer: Some((height, Arc::new(subject.clone()))) });
        }
        for record in &changes.records {
            self.bodies.put(record.body_digest, AsOf { height, answer: Some(height) });
        }
        for entry in &changes.replay {
            self.ids.put(keys::relayed(&entry.relay, &entry.id), AsOf { height, answer: Some(height) });
        }
    }

    /// The block was not written after all.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// A subject as of a view's tip; `None` if that is not known here.
    pub(crate) fn subject(&self, id: &SubjectId, tip: Height) -> Option<Option<Arc<Subject>>> {
        Some(self.subjects.get(id)?.at(tip)?.as_ref().map(|(_, subject)| subject.clone()))
    }

    /// Height of the block that last changed a subject as of a view's tip.
    pub(crate) fn written(&self, id: &SubjectId, tip: Height) -> Option<Option<Height>> {
        Some(self.subjects.get(id)?.at(tip)?.as_ref().map(|(written, _)| *written))
    }

    /// Where the body of this digest stands.
    pub(crate) fn body(&self, digest: &Hash32, tip: Height) -> Option<Option<Height>> {
        self.bodies.get(digest)?.at(tip).copied()
    }

    /// Where the number of this key of [`keys::RELAYED`] stands.
    pub(crate) fn id(&self, key: &[u8], tip: Height) -> Option<Option<Height>> {
        self.ids.get(key)?.at(tip).copied()
    }

    /// A view of this height read a subject.
    pub(crate) fn learn_subject(&mut self, id: SubjectId, answer: Option<Written>, height: Height) {
        if self.is_newest(height) {
            self.subjects.put(id, AsOf { height, answer });
        }
    }

    /// A view of this height read where a body stands.
    pub(crate) fn learn_body(&mut self, digest: Hash32, answer: Option<Height>, height: Height) {
        if self.is_newest(height) {
            self.bodies.put(digest, AsOf { height, answer });
        }
    }

    /// A view of this height read where a number stands.
    pub(crate) fn learn_id(&mut self, key: Vec<u8>, answer: Option<Height>, height: Height) {
        if self.is_newest(height) {
            self.ids.put(key, AsOf { height, answer });
        }
    }

    /// A number of a submission does not count any more.
    pub(crate) fn forget_id(&mut self, key: &[u8]) {
        self.ids.remove(key);
    }

    fn is_newest(&mut self, height: Height) -> bool {
        self.tip = self.tip.max(height);
        self.tip == height
    }
}
