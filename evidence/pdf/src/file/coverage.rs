//! Does every byte of a revision belong to it? Objects that its cross-reference data name, the data
//! themselves, the trailer and the end-of-file marker; between them white space and nothing else.

use std::ops::Range;

use super::lexer::{Budget, indirect, is_white};
use super::xref::Entry;
use super::{PdfFile, View};

/// What occupies some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) place: Range<usize>,
    /// `None`: cross-reference data.
    pub(crate) object: Option<u32>,
}

/// Bytes that belong to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Comments only.
    Comment(Range<usize>),
    /// An object that no cross-reference data name.
    Unlisted(Range<usize>, u32),
    /// Anything else.
    Stray(Range<usize>),
    /// Two objects share bytes.
    Overlap(Range<usize>),
}

impl PdfFile<'_> {
    /// The bytes of a revision that belong to nothing, in the order of the file. What stands in front of the
    /// first object of the original, and comments in it, are not looked at.
    pub(crate) fn gaps(&self, revision: usize) -> Vec<Gap> {
        self.gaps_from(revision, 0)
    }

    /// The same of what stands behind byte `from`.
    pub(crate) fn gaps_from(&self, revision: usize, from: usize) -> Vec<Gap> {
        let view = self.view(revision);
        let place = &self.revisions[revision].place;
        let mut extents = self.extents(view);
        extents.sort_by_key(|extent| (extent.place.start, extent.place.end));
        extents.dedup_by(|a, b| a.place == b.place);
        let mut gaps = vec![];
        let mut at = place.start.max(from);
        for Extent { place: found, .. } in &extents {
            if found.start >= at {
                self.gap(at..found.start, revision == 0, &mut gaps);
            } else {
                gaps.push(Gap::Overlap(found.start..at.min(found.end)));
            }
            at = at.max(found.end);
        }
        if at < place.end {
            self.gap(at..place.end, revision == 0, &mut gaps);
        }
        gaps
    }

    /// Bytes behind the last revision that are not white space.
    pub(crate) fn tail(&self) -> Option<Range<usize>> {
        let end = self.revisions.last().map_or(0, |revision| revision.place.end);
        let start = end + self.bytes[end..].iter().position(|byte| !is_white(*byte))?;
        Some(start..self.bytes.len())
    }

    fn extents(&self, view: View<'_>) -> Vec<Extent> {
        let place = &view.revision.place;
        let mut found = vec![];
        for section in &view.revision.sections {
            for place in &section.places {
                found.push(Extent { place: place.clone(), object: None });
            }
            if let (Some((_, end)), Some(first)) = (section.terminator, section.places.first()) {
                found.push(Extent { place: first.end..end, object: None });
            }
            for (number, entry) in &section.entries {
                // An entry that leads to an older revision occupies nothing here.
                let &Entry::At(at, _) = entry else { continue };
                if !place.contains(&at) {
                    continue;
                }
                match self.indirect_at(at, view) {
                    Ok(object) => found.push(Extent { place: at..object.end, object: Some(*number) }),
                    Err(reason) => {
                        self.problems.borrow_mut().insert(*number, reason);
                    }
                }
            }
        }
        found
    }

    fn gap(&self, place: Range<usize>, is_original: bool, gaps: &mut Vec<Gap>) {
        let bytes = &self.bytes[place.clone()];
        let Some(first) = bytes.iter().position(|byte| !is_white(*byte)) else { return };
        let start = place.start + first;
        if only_comments(bytes) {
            if !is_original {
                gaps.push(Gap::Comment(start..place.end));
            }
            return;
        }
        // A linearised file closes its first part with a marker of its own.
        let is_marker = bytes[first..].starts_with(b"startxref") && bytes.trim_ascii_end().ends_with(b"%%EOF");
        if is_original && is_marker && bytes.len() < 64 {
            return;
        }
        let budget = Budget::new(100_000);
        match indirect(self.bytes, start, &budget, &|_| None) {
            Ok(object) if object.end <= place.end => {
                gaps.push(Gap::Unlisted(start..object.end, object.id.number));
                if gaps.len() < 1000 {
                    self.gap(object.end..place.end, is_original, gaps);
                }
            }
            _ => gaps.push(Gap::Stray(start..place.end)),
        }
    }
}

fn only_comments(bytes: &[u8]) -> bool {
    bytes
        .split(|byte| *byte == b'\n' || *byte == b'\r')
        .all(|line| line.iter().find(|byte| !is_white(**byte)).is_none_or(|byte| *byte == b'%'))
}
