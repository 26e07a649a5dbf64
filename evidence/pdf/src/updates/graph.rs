//! Which objects lead to which, as the file was before an update.

use std::collections::{HashMap, HashSet};

use crate::difference::references;
use crate::file::View;
use crate::file::value::{Id, Value};

/// How often the trailer, and all objects to which it leads, refer to each object.
pub(super) struct Graph {
    counts: HashMap<Id, usize>,
    numbers: HashSet<u32>,
}

impl Graph {
    pub(super) fn of(view: View<'_>) -> Self {
        let mut graph = Self { counts: HashMap::new(), numbers: HashSet::new() };
        let mut work = vec![];
        view.trailer().iter().for_each(|(_, value)| graph.take(value, &mut work));
        while let Some(id) = work.pop() {
            if !view.file().spend(1) {
                break;
            }
            graph.take(&view.get(id), &mut work);
        }
        graph
    }

    fn take(&mut self, value: &Value, work: &mut Vec<Id>) {
        references(value, &mut |id| {
            let count = self.counts.entry(id).or_insert(0);
            *count += 1;
            if *count == 1 {
                work.push(id);
                self.numbers.insert(id.number);
            }
        });
    }

    pub(super) fn count(&self, id: Id) -> usize {
        self.counts.get(&id).copied().unwrap_or(0)
    }

    /// Does anything refer to this number? An object that comes later under it would not be new.
    pub(super) fn names(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }
}

/// All objects to which these values lead.
pub(super) fn reached<'d>(view: View<'_>, roots: impl Iterator<Item = &'d Value>) -> HashSet<Id> {
    reached_without(view, roots, None)
}

/// The same, on ways that do not go through this object.
pub(super) fn reached_without<'d>(
    view: View<'_>, roots: impl Iterator<Item = &'d Value>, without: Option<Id>,
) -> HashSet<Id> {
    let (mut found, mut work) = (HashSet::new(), vec![]);
    roots.for_each(|root| references(root, &mut |id| work.push(id)));
    while let Some(id) = work.pop() {
        if found.insert(id) && without != Some(id) && view.file().spend(1) {
            references(&view.get(id), &mut |id| work.push(id));
        }
    }
    found
}
