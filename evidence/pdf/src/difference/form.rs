//! The form: its settings, its fields, and the signatures in them.

use std::collections::HashSet;

use super::{Change, ChangeKind, Difference};
use crate::examine::permission::{included, is_locked, locked_by_name, locks};
use crate::file::View;
use crate::file::value::{Dictionary, Value};
use crate::model::Field;

/// What filling in changes.
const FILLED: [&[u8]; 7] = [b"V", b"AP", b"AS", b"RV", b"I", b"M", b"TI"];
/// What refers upwards or is compared on its own.
const STRUCTURE: [&[u8]; 4] = [b"Parent", b"P", b"Kids", b"Type"];

impl Difference<'_> {
    pub(super) fn form(&mut self) {
        self.settings();
        let (old, new) = (self.old.1, self.new.1);
        let mut names = HashSet::new();
        for field in &new.fields {
            if !names.insert(field.name.clone()) && old.fields.iter().filter(|f| f.name == field.name).count() < 2 {
                // Two fields of one name: readers differ on which one counts.
                self.note(Change::of(ChangeKind::FieldAdded, &field.name));
            }
            if old.field(&field.name).is_none() {
                self.added_field(field);
            }
        }
        for field in &old.fields {
            match new.field(&field.name) {
                Some(now) => self.field(field, now),
                None if field.is_signature() && self.is_signed(field, true) => {
                    self.note(Change::of(ChangeKind::SignatureRemoved, &field.name));
                }
                None => self.note(Change::of(ChangeKind::FieldRemoved, &field.name)),
            }
        }
    }

    fn settings(&mut self) {
        let empty = Dictionary::default();
        let old = self.old.1.form.as_ref().unwrap_or(&empty).clone();
        let new = self.new.1.form.as_ref().unwrap_or(&empty).clone();
        for key in self.differing(&old, &new, &[b"Fields", b"SigFlags", b"DR", b"Type", b"DA"]) {
            self.note(Change::of(ChangeKind::FormSettings, format!("/{}", String::from_utf8_lossy(&key))));
        }
        // A default that was there stays; a new form may bring one.
        if old.get(b"DA").is_some() && !self.same(old.get(b"DA"), new.get(b"DA")) {
            self.note(Change::of(ChangeKind::FormSettings, "/DA"));
        }
        let of = |view: crate::file::View<'_>, form: &Dictionary| view.dictionary(form, b"DR").unwrap_or_default();
        let (before, after) = (of(self.old.0, &old), of(self.new.0, &new));
        for (category, members) in before.iter() {
            let members = self.old.0.resolve(members);
            let now = self.new.0.entry(&after, category);
            let (Some(members), Some(now)) = (members.as_dictionary(), now.as_dictionary()) else {
                if !self.same(Some(&members), Some(&now)) {
                    self.note(Change::of(ChangeKind::FormSettings, "/DR"));
                }
                continue;
            };
            for (name, resource) in members.iter() {
                if !self.same(Some(resource), now.get(name)) {
                    self.note(Change::of(ChangeKind::FormSettings, format!("/DR /{}", String::from_utf8_lossy(name))));
                }
            }
        }
    }

    fn is_signed(&self, field: &Field, is_old: bool) -> bool {
        let view = if is_old { self.old.0 } else { self.new.0 };
        field.value.as_ref().is_some_and(|value| *view.resolve(value) != Value::Null)
    }

    fn added_field(&mut self, field: &Field) {
        if !field.is_signature() {
            self.note(Change::of(ChangeKind::FieldAdded, &field.name));
            return;
        }
        let widgets: Vec<Dictionary> = field.all_widgets().map(|(_, widget)| widget.clone()).collect();
        let is_signed = self.is_signed(field, false);
        for widget in &widgets {
            if widget.get(b"A").is_some() || widget.get(b"AA").is_some() {
                self.note(Change::of(ChangeKind::ActionChanged, &field.name));
            }
            // A picture in a field that nobody signed.
            if !is_signed && widget.get(b"AP").is_some_and(|looks| draws(self.new.0, looks)) {
                self.note(Change::of(ChangeKind::OverlayAdded, &field.name));
            }
        }
        if is_signed {
            self.signed(field);
        } else {
            self.note(Change::of(ChangeKind::SignatureFieldAdded, &field.name));
        }
    }

    fn signed(&mut self, field: &Field) {
        let value = field.value.as_ref().map(|value| self.new.0.resolve(value));
        let form = value.as_ref().and_then(|value| value.as_dictionary()).and_then(|value| value.name(b"SubFilter"));
        let kind = match form {
            Some(b"ETSI.RFC3161") => ChangeKind::TimestampAdded,
            _ => ChangeKind::SignatureAdded,
        };
        let first = field.all_widgets().next();
        let page = first.and_then(|(id, widget)| self.new.1.page_of(id, widget));
        // A document timestamp has no looks: a picture in its field is laid over the page.
        let looks: Vec<Value> = field.all_widgets().filter_map(|(_, widget)| widget.get(b"AP").cloned()).collect();
        if kind == ChangeKind::TimestampAdded && looks.iter().any(|looks| draws(self.new.0, looks)) {
            self.note(Change::of(ChangeKind::OverlayAdded, &field.name).at(page));
        }
        self.note(Change::of(kind, &field.name).at(page));
    }

    fn field(&mut self, old: &Field, new: &Field) {
        let altered = |name: &str| Change::of(ChangeKind::FieldAltered, name);
        let except: Vec<&[u8]> = FILLED.iter().chain(&STRUCTURE).copied().collect();
        let is_same_kind = old.kind == new.kind && old.id == new.id && old.widgets.len() == new.widgets.len();
        let (was_signed, is_signed) = (self.is_signed(old, true), self.is_signed(new, false));
        // A signature that is there stays as it is, whatever else is permitted.
        let mut exact: Vec<&[u8]> = STRUCTURE.to_vec();
        exact.extend([&b"V"[..], b"AP", b"AS"]);
        let mut fixed = if was_signed && old.is_signature() { exact } else { except };
        if old.is_signature() && !was_signed && is_signed {
            // Signing locks the widget.
            fixed.push(b"F");
        }
        let mut is_same = is_same_kind && self.differing(&old.dictionary, &new.dictionary, &fixed).is_empty();
        for ((old_id, old), (new_id, new)) in old.widgets.iter().zip(&new.widgets) {
            is_same &= old_id == new_id && self.differing(old, new, &fixed).is_empty();
        }
        if !is_same {
            self.note(altered(&old.name));
        }
        let same_value = self.same_afresh(old.value.as_ref(), new.value.as_ref());
        let same_looks = self.same_looks(old, new);
        match (old.is_signature(), was_signed, is_signed) {
            (true, true, false) => self.note(Change::of(ChangeKind::SignatureRemoved, &old.name)),
            (true, true, true) => {
                if !same_value {
                    self.note(Change::of(ChangeKind::SignatureReplaced, &old.name));
                }
                if !same_looks {
                    self.note(Change::of(ChangeKind::SignatureAppearance, &old.name));
                }
            }
            (true, false, true) => self.signed(new),
            (true, false, false) if !same_looks => {
                self.note(Change::of(ChangeKind::SignatureAppearance, &old.name));
            }
            (false, ..) if old.is_push_button(self.old.0) && !same_looks => self.picture(old, new, same_value),
            (false, ..) if !same_value || !same_looks => {
                self.note(Change::of(ChangeKind::FormFilled, &old.name));
            }
            _ => {}
        }
    }

    /// A push button has no value, so its looks are all that it says: only the slice of a cross-page seal
    /// 骑缝章 that its signer puts there may come later, and it stays.
    fn picture(&mut self, old: &Field, new: &Field, same_value: bool) {
        let drew = |field: &Field, view: View<'_>| {
            field.all_widgets().any(|(_, widget)| widget.get(b"AP").is_some_and(|looks| draws(view, looks)))
        };
        let change = if drew(old, self.old.0) {
            Change::of(ChangeKind::SignatureAppearance, &old.name)
        } else if same_value && self.is_sealed(new) {
            let above = new.name.rsplit_once('.').map_or(new.name.as_str(), |(above, _)| above);
            self.note(Change::of(ChangeKind::SealSlice, above));
            return;
        } else {
            Change::of(ChangeKind::OverlayAdded, &old.name)
        };
        let page = new.all_widgets().next().and_then(|(id, widget)| self.new.1.page_of(id, widget));
        self.note(change.at(page));
    }

    /// Does a signature that this revision adds lock this field by its name, and none that was there before?
    fn is_sealed(&self, field: &Field) -> bool {
        let (old, new) = (self.old.1, self.new.1);
        let dictionary = |view: View<'_>, signature: &Field| {
            let value = signature.value.as_ref().map(|value| view.resolve(value));
            value.as_ref().and_then(|value| value.as_dictionary()).cloned().unwrap_or_default()
        };
        let mut before = old.fields.iter().filter(|one| one.is_signature() && self.is_signed(one, true));
        if before.any(|one| is_locked(&field.name, &locks(self.old.0, &dictionary(self.old.0, one), one))) {
            return false;
        }
        // Where an empty field announced that its signature will lock this one, only that field's may.
        let announces = |one: &&Field| {
            let lock = self.old.0.dictionary(&one.dictionary, b"Lock").unwrap_or_default();
            one.is_signature() && included(self.old.0, &lock).contains(&field.name)
        };
        let owner = old.fields.iter().find(announces).map(|owner| owner.name.as_str());
        let is_fresh = |one: &&Field| {
            let was_signed = old.field(&one.name).is_some_and(|before| self.is_signed(before, true));
            let is_owner = owner.is_none_or(|owner| owner == one.name);
            one.is_signature() && self.is_signed(one, false) && !was_signed && is_owner
        };
        let mut fresh = new.fields.iter().filter(is_fresh).map(|one| dictionary(self.new.0, one));
        fresh.any(|signature| {
            signature.name(b"SubFilter") != Some(b"ETSI.RFC3161")
                && locked_by_name(self.new.0, &signature).contains(&field.name)
        })
    }

    fn same_looks(&self, old: &Field, new: &Field) -> bool {
        const LOOKS: [&[u8]; 4] = [b"AP", b"AS", b"RV", b"I"];
        let same =
            |old: &Dictionary, new: &Dictionary| LOOKS.iter().all(|key| self.same_afresh(old.get(key), new.get(key)));
        same(&old.dictionary, &new.dictionary)
            && old.widgets.iter().zip(&new.widgets).all(|((_, old), (_, new))| same(old, new))
    }
}

/// Has it a normal appearance that is not empty?
fn draws(view: View<'_>, looks: &Value) -> bool {
    let looks = view.resolve(looks);
    let Some(looks) = looks.as_dictionary() else { return false };
    let is_empty = |value: &Value| match value {
        Value::Stream(_, data) => view.unpacked(value).map_or(data.is_empty(), |data| data.trim_ascii().is_empty()),
        Value::Null => true,
        _ => false,
    };
    let normal = view.entry(looks, b"N");
    match &*normal {
        Value::Dictionary(states) => !states.iter().all(|(_, state)| is_empty(&view.resolve(state))),
        Value::Stream(..) => !is_empty(&normal),
        _ => false,
    }
}
