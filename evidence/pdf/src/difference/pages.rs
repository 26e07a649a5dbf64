//! Pages and their annotations.

use std::collections::{HashMap, HashSet};

use super::{Change, ChangeKind, Difference};
use crate::file::View;
use crate::file::value::{Dictionary, Id, Value};
use crate::model::Page;

impl Difference<'_> {
    pub(super) fn pages(&mut self) {
        let (old, new) = (self.old.1, self.new.1);
        let places: HashMap<Id, usize> = new.pages.iter().enumerate().map(|(i, page)| (page.id, i)).collect();
        let before: HashSet<Id> = old.pages.iter().map(|page| page.id).collect();
        for (index, page) in new.pages.iter().enumerate() {
            if !before.contains(&page.id) {
                self.note(Change::on(ChangeKind::PageAdded, index));
            }
        }
        let mut last = None;
        for (index, page) in old.pages.iter().enumerate() {
            let Some(place) = places.get(&page.id).copied() else {
                self.note(Change::on(ChangeKind::PageRemoved, index));
                continue;
            };
            if last.is_some_and(|last| last >= place) {
                self.note(Change::new(ChangeKind::PagesReordered));
            }
            last = Some(place);
            self.page(page, &new.pages[place], place);
        }
    }

    fn page(&mut self, old: &Page, new: &Page, index: usize) {
        const SKIPPED: [&[u8]; 8] =
            [b"Annots", b"Parent", b"Type", b"LastModified", b"PieceInfo", b"Tabs", b"Metadata", b"Resources"];
        for key in self.differing(&old.attributes, &new.attributes, &SKIPPED) {
            let change = match key.as_slice() {
                b"Contents" => Change::on(ChangeKind::PageContent, index),
                b"MediaBox" | b"CropBox" | b"Rotate" | b"UserUnit" | b"BleedBox" | b"TrimBox" | b"ArtBox" => {
                    Change::on(ChangeKind::PageGeometry, index)
                }
                b"AA" => Change::on(ChangeKind::ActionChanged, index).with("/AA"),
                other => Change::on(ChangeKind::PageAttribute, index).with(String::from_utf8_lossy(other)),
            };
            self.note(change);
        }
        self.resources(old, new, index);
        self.annotations(old, new, index);
    }

    fn resources(&mut self, old: &Page, new: &Page, index: usize) {
        let of = |view: View<'_>, page: &Page| view.dictionary(&page.attributes, b"Resources").unwrap_or_default();
        let (before, after) = (of(self.old.0, old), of(self.new.0, new));
        for category in self.differing(&before, &after, &[]) {
            let kind = match category.as_slice() {
                b"Font" => ChangeKind::FontReplaced,
                b"XObject" => ChangeKind::ImageReplaced,
                _ => ChangeKind::PageContent,
            };
            self.note(Change::on(kind, index));
        }
    }

    fn annotations(&mut self, old: &Page, new: &Page, index: usize) {
        let field_widgets = |model: &crate::model::Model| -> HashSet<Id> {
            model
                .fields
                .iter()
                .flat_map(|field| field.all_widgets().filter_map(|(id, _)| id).collect::<Vec<_>>())
                .collect()
        };
        let (old_widgets, new_widgets) = (field_widgets(self.old.1), field_widgets(self.new.1));
        let after: Vec<Id> = new.annotations.iter().filter_map(Value::as_reference).collect();
        let mut last = None;
        for annotation in &old.annotations {
            let value = self.old.0.resolve(annotation);
            let Some(before) = value.as_dictionary() else { continue };
            let subtype = subtype(before);
            let Some(id) = annotation.as_reference() else {
                if !new.annotations.iter().any(|other| self.same_afresh(Some(annotation), Some(other))) {
                    self.note(Change::on(ChangeKind::AnnotationChanged, index).with(subtype));
                }
                continue;
            };
            let Some(place) = after.iter().position(|other| *other == id) else {
                self.note(Change::on(ChangeKind::AnnotationRemoved, index).with(subtype));
                continue;
            };
            if last.is_some_and(|last| last >= place) {
                self.note(Change::on(ChangeKind::AnnotationChanged, index).with(subtype.clone()));
            }
            last = Some(place);
            if old_widgets.contains(&id) {
                // As fields; one that is no longer a field is a field removed.
                continue;
            }
            let now = self.new.0.get(id);
            let is_same = now.as_dictionary().is_some_and(|now| self.same_annotation(before, now));
            if !is_same {
                self.note(Change::on(ChangeKind::AnnotationChanged, index).with(subtype));
            }
        }
        self.added(old, new, index, &new_widgets);
    }

    fn same_annotation(&self, old: &Dictionary, new: &Dictionary) -> bool {
        let mut keys = old.iter().chain(new.iter()).map(|(key, _)| key).filter(|key| *key != b"P" && *key != b"Parent");
        keys.all(|key| self.same_afresh(old.get(key), new.get(key)))
    }

    fn added(&mut self, old: &Page, new: &Page, index: usize, widgets: &HashSet<Id>) {
        for annotation in &new.annotations {
            let is_old = match annotation.as_reference() {
                Some(id) => old.annotations.iter().any(|other| other.as_reference() == Some(id)),
                None => old.annotations.iter().any(|other| self.same_afresh(Some(other), Some(annotation))),
            };
            if is_old || annotation.as_reference().is_some_and(|id| widgets.contains(&id)) {
                continue;
            }
            let value = self.new.0.resolve(annotation);
            let Some(found) = value.as_dictionary() else {
                // A reference to nothing shows nothing.
                continue;
            };
            let subtype = subtype(found);
            // A widget of no field is only a picture.
            let kind = if subtype == "Widget" { ChangeKind::OverlayAdded } else { ChangeKind::AnnotationAdded };
            self.note(Change::on(kind, index).with(subtype));
            if found.get(b"A").is_some() || found.get(b"AA").is_some() {
                self.note(Change::on(ChangeKind::ActionChanged, index).with("/A"));
            }
        }
    }
}

fn subtype(annotation: &Dictionary) -> String {
    String::from_utf8_lossy(annotation.name(b"Subtype").unwrap_or(b"?")).into_owned()
}
