//! The fields that signing makes (rules 6, 8, 9 and 11): signature fields, and slices of cross-page seals and
//! date stamps. Each is a dictionary of known entries only, so that nothing can be hidden in one.

use std::collections::{HashMap, HashSet};

use super::{Stage, Update, Violation, dictionary, is_same_but};
use crate::file::lexer::is_white;
use crate::file::value::{Dictionary, Id, Value};

/// Print and Locked.
const WIDGET_FLAGS: i64 = 132;
/// ReadOnly and Pushbutton.
const BUTTON_FLAGS: i64 = 1 | 1 << 16;
const MAX_NAME: usize = 64;
const SIGNATURE_ENTRIES: [&[u8]; 7] = [b"Type", b"Subtype", b"FT", b"F", b"T", b"P", b"Rect"];
const SLICE_ENTRIES: [&[u8]; 12] =
    [b"Type", b"Subtype", b"FT", b"F", b"T", b"P", b"Rect", b"Ff", b"TU", b"Parent", b"AP", b"AS"];
/// What a group of slices is called behind the name of its signature's field.
const CROSS_PAGE: &[u8] = b"-straddle";
const DATE: &[u8] = b"-date";

/// A signature that an update makes.
pub(super) struct Signature {
    /// Name of its field.
    name: Vec<u8>,
    /// Its `/V`.
    value: Id,
}

/// A new widget: the page it must stand on, or none for a timestamp's, which need not stand anywhere.
type Widgets = HashMap<Id, Option<usize>>;

impl Update<'_> {
    /// Judges new fields and annotations, and what is filled of the old ones; the signature, if one is made.
    pub(super) fn additions(
        &mut self, fields: &[Value], all: &[Value], shown: &[(usize, Value)], stage: Stage,
    ) -> Result<Option<Signature>, Violation> {
        let names = self.names(all);
        let mut widgets = Widgets::new();
        let mut signature = None;
        for field in fields {
            let id = self.new_object(Some(field)).filter(|id| !widgets.contains_key(id)).ok_or(Violation::Field)?;
            let Value::Dictionary(field) = &*self.new.get(id) else { return Err(Violation::Field) };
            let name = field.get(b"T").and_then(Value::as_string).unwrap_or_default();
            if !is_name(name) || names.get(name) != Some(&1) {
                return Err(Violation::Field);
            }
            if field.get(b"Kids").is_some() {
                self.new_group(id, field, &names, stage, &mut widgets)?;
                continue;
            }
            let (page, is_timestamp) = self.new_field(field, stage)?;
            widgets.insert(id, page);
            if let (Some(value), false) = (field.get(b"V").and_then(Value::as_reference), is_timestamp) {
                let made = Signature { name: name.to_vec(), value };
                signature.replace(made).is_none().then_some(()).ok_or(Violation::Signature)?;
            }
        }
        self.placed(&widgets, shown)?;
        if matches!(stage, Stage::Signing { .. }) {
            self.filled(all, &names, &mut signature)?;
        }
        Ok(signature)
    }

    /// How many members of `/Fields` have each name.
    fn names(&self, fields: &[Value]) -> HashMap<Vec<u8>, usize> {
        let mut names = HashMap::new();
        for field in fields {
            let field = self.new.resolve(field);
            let name = field.as_dictionary().map(|field| self.new.entry(field, b"T"));
            if let Some(name) = name.as_deref().and_then(Value::as_string) {
                *names.entry(plain(name)).or_insert(0) += 1;
            }
        }
        names
    }

    /// Every new widget stands where it must, and nothing else does.
    fn placed(&self, widgets: &Widgets, shown: &[(usize, Value)]) -> Result<(), Violation> {
        let mut seen = HashSet::new();
        for (page, value) in shown {
            let expected = value.as_reference().and_then(|id| widgets.get(&id).copied().filter(|_| seen.insert(id)));
            match expected {
                Some(None) => {}
                Some(Some(expected)) if expected == *page => {}
                _ => return Err(Violation::Annotation(page + 1)),
            }
        }
        let is_shown = |(id, page): (&Id, &Option<usize>)| page.is_none() || seen.contains(id);
        widgets.iter().all(is_shown).then_some(()).ok_or(Violation::Field)
    }

    /// A field with its widget in it: its page, unless it is a timestamp's; is it one?
    fn new_field(&self, field: &Dictionary, stage: Stage) -> Result<(Option<usize>, bool), Violation> {
        let (page, value) = self.signature_field(field).ok_or(Violation::Field)?;
        let Some(value) = value else {
            // Empty: it shows nothing.
            let is_empty = field.get(b"AP").is_none() && stage != Stage::Sealed && self.is_small(field, page);
            return is_empty.then_some((Some(page), false)).ok_or(Violation::Field);
        };
        let id = self.new_object(Some(value)).ok_or(Violation::Signature)?;
        let Value::Dictionary(value) = &*self.new.get(id) else { return Err(Violation::Signature) };
        if value.name(b"SubFilter") == Some(b"ETSI.RFC3161") {
            return field.get(b"AP").is_none().then_some((None, true)).ok_or(Violation::Field);
        }
        if stage == Stage::Sealed {
            return Err(Violation::Field);
        }
        self.is_signed(field, page, value)?;
        Ok((Some(page), false))
    }

    /// A signature field in the form that signing makes: the index of its page, and its `/V`.
    fn signature_field<'d>(&self, field: &'d Dictionary) -> Option<(usize, Option<&'d Value>)> {
        const MORE: [&[u8]; 3] = [b"Lock", b"V", b"AP"];
        let is_known = |key: &[u8]| SIGNATURE_ENTRIES.contains(&key) || MORE.contains(&key);
        let is_lock = match field.get(b"Lock") {
            None => true,
            Some(lock @ Value::Dictionary(_)) => {
                let mut is_direct = true;
                crate::difference::references(lock, &mut |_| is_direct = false);
                is_direct
            }
            Some(_) => false,
        };
        let is_one = field.iter().all(|(key, _)| is_known(key)) && field.name(b"FT") == Some(b"Sig") && is_lock;
        let page = self.widget(field)?;
        is_one.then_some((page, field.get(b"V")))
    }

    /// What every widget has; the index of its page.
    fn widget(&self, widget: &Dictionary) -> Option<usize> {
        let numbers = widget.get(b"Rect")?.as_array()?;
        let is_widget = widget.name(b"Type") == Some(b"Annot")
            && widget.name(b"Subtype") == Some(b"Widget")
            && widget.get(b"F") == Some(&Value::Integer(WIDGET_FLAGS))
            && numbers.len() == 4
            && numbers.iter().all(|number| number.as_number().is_some());
        let page = widget.get(b"P")?.as_reference()?;
        self.pages.iter().position(|other| *other == page).filter(|_| is_widget)
    }

    /// Rule 8: a signature over the whole update, perhaps with a picture.
    fn is_signed(&self, field: &Dictionary, page: usize, value: &Dictionary) -> Result<(), Violation> {
        let end = self.new.revision().place.end;
        let bytes = self.new.file().bytes;
        let covers = |range: &[Value]| {
            let numbers: Vec<usize> = range.iter().filter_map(Value::as_usize).collect();
            let &[0, _, second, length] = numbers.as_slice() else { return false };
            let covered = second.checked_add(length).and_then(|to| bytes.get(end..to));
            covered.is_some_and(|rest| rest.iter().all(|byte| is_white(*byte)))
        };
        let is_whole = value.name(b"SubFilter") == Some(b"ETSI.CAdES.detached")
            && value.get(b"ByteRange").and_then(Value::as_array).is_some_and(|range| range.len() == 4 && covers(range));
        if !is_whole {
            return Err(Violation::Signature);
        }
        let looks = match field.get(b"AP") {
            None => return Ok(()),
            Some(Value::Dictionary(looks)) => looks,
            Some(_) => return Err(Violation::Looks),
        };
        let form = self.new_object(looks.get(b"N")).filter(|_| looks.0.len() == 1).ok_or(Violation::Looks)?;
        if !self.is_small(field, page) {
            return Err(Violation::Looks);
        }
        self.picture(form)
    }

    /// Slices that are reserved, before anybody signs.
    fn new_group(
        &self, id: Id, group: &Dictionary, names: &HashMap<Vec<u8>, usize>, stage: Stage, widgets: &mut Widgets,
    ) -> Result<(), Violation> {
        let (owner, is_date) = group_of(group).ok_or(Violation::Slice)?;
        let kids = group.get(b"Kids").and_then(Value::as_array).unwrap_or_default();
        let is_count = if is_date { kids.len() == 1 } else { !kids.is_empty() };
        if stage != (Stage::Signing { is_signed: false }) || !is_count || names.get(owner) != Some(&1) {
            return Err(Violation::Slice);
        }
        // The group itself is no widget.
        let mut pages = HashSet::new();
        for kid in kids {
            let kid_id = self.new_object(Some(kid)).filter(|kid| *kid != id && !widgets.contains_key(kid));
            let kid_id = kid_id.ok_or(Violation::Slice)?;
            let Value::Dictionary(slice) = &*self.new.get(kid_id) else { return Err(Violation::Slice) };
            let (page, empty) = self.empty_slice(slice, id).ok_or(Violation::Slice)?;
            let is_empty = self.is_new(&empty)
                && matches!(&*self.new.get(empty), Value::Stream(form, data)
                    if data.is_empty() && form.get(b"Length") == Some(&Value::Integer(0)));
            if !is_empty || !pages.insert(page) {
                return Err(Violation::Slice);
            }
            self.picture(empty)?;
            widgets.insert(kid_id, Some(page));
        }
        Ok(())
    }

    /// A slice that nobody filled yet: the index of its page, and its empty form.
    fn empty_slice(&self, slice: &Dictionary, group: Id) -> Option<(usize, Id)> {
        let page = self.widget(slice)?;
        let Value::Dictionary(looks) = slice.get(b"AP")? else { return None };
        let Value::Dictionary(states) = looks.get(b"N")? else { return None };
        let is_one = slice.0.len() == SLICE_ENTRIES.len()
            && slice.iter().all(|(key, _)| SLICE_ENTRIES.contains(&key))
            && slice.name(b"FT") == Some(b"Btn")
            && slice.get(b"Ff") == Some(&Value::Integer(BUTTON_FLAGS))
            && slice.get(b"T").and_then(Value::as_string) == Some(format!("p{}", page + 1).as_bytes())
            && slice.get(b"TU").is_some_and(|title| title.as_string().is_some())
            && slice.get(b"Parent").and_then(Value::as_reference) == Some(group)
            && slice.name(b"AS") == Some(b"Off")
            && looks.0.len() == 1
            && states.0.len() == 1
            && self.is_small(slice, page);
        states.get(b"Off")?.as_reference().filter(|_| is_one).map(|empty| (page, empty))
    }

    /// Old fields that are filled: the one that is signed, and its slices.
    fn filled(
        &mut self, all: &[Value], names: &HashMap<Vec<u8>, usize>, signature: &mut Option<Signature>,
    ) -> Result<(), Violation> {
        let is_replaced = |id: &&Id| self.used.contains(&id.number) && !self.permitted.contains(id);
        let mut replaced: Vec<Id> = self.objects.iter().filter(is_replaced).copied().collect();
        if replaced.is_empty() {
            return Ok(());
        }
        replaced.sort();
        let places = self.places();
        let on_page = |id: &Id, page: usize| places.get(id).is_some_and(|found| found.as_slice() == [page]);
        let is_root = |id: Id| all.contains(&Value::Reference(id));
        let mut slices = vec![];
        for id in replaced {
            let (before, after) = (self.old.get(id), self.new.get(id));
            let (Value::Dictionary(before), Value::Dictionary(after)) = (&*before, &*after) else {
                return Err(Violation::Object(id.number));
            };
            let Some((page, None)) = self.signature_field(before) else {
                slices.push((id, before.clone(), after.clone()));
                continue;
            };
            let name = before.get(b"T").and_then(Value::as_string).unwrap_or_default();
            let is_place = is_root(id) && on_page(&id, page) && is_name(name) && names.get(name) == Some(&1);
            let is_empty = before.get(b"AP").is_none() && is_same_but(before, after, &[b"V", b"AP"]);
            let value = self.new_object(after.get(b"V")).filter(|_| is_place && is_empty);
            let value = value.ok_or(Violation::Object(id.number))?;
            let Value::Dictionary(dictionary) = &*self.new.get(value) else { return Err(Violation::Signature) };
            self.is_signed(after, page, dictionary)?;
            let made = Signature { name: name.to_vec(), value };
            signature.replace(made).is_none().then_some(()).ok_or(Violation::Signature)?;
            self.permitted.insert(id);
        }
        for (id, before, after) in slices {
            let signature = signature.as_ref().ok_or(Violation::Object(id.number))?;
            let group = before.get(b"Parent").and_then(Value::as_reference).filter(|group| is_root(*group));
            let group = group.ok_or(Violation::Object(id.number))?;
            let page = self.slice_filled((id, &before, &after), group, signature)?;
            if !on_page(&id, page) {
                return Err(Violation::Slice);
            }
            self.permitted.insert(id);
        }
        Ok(())
    }

    /// Rule 9: a slice gets its part of the imprint; the index of its page.
    fn slice_filled(
        &self, (id, before, after): (Id, &Dictionary, &Dictionary), group: Id, signature: &Signature,
    ) -> Result<usize, Violation> {
        let above = self.old.get(group);
        let Value::Dictionary(above) = &*above else { return Err(Violation::Object(id.number)) };
        let owner = group_of(above).map(|(owner, _)| owner);
        let is_kid = above.get(b"Kids").and_then(Value::as_array).unwrap_or_default().contains(&Value::Reference(id));
        let (page, empty) = self.empty_slice(before, group).ok_or(Violation::Object(id.number))?;
        let states = match after.get(b"AP") {
            Some(Value::Dictionary(looks)) if looks.0.len() == 1 => looks.get(b"N").and_then(Value::as_dictionary),
            _ => None,
        };
        let states =
            states.filter(|states| states.0.len() == 2 && states.get(b"Off") == Some(&Value::Reference(empty)));
        let sealed = self.new_object(states.and_then(|states| states.get(b"Seal")));
        let is_filled = is_kid
            && owner == Some(signature.name.as_slice())
            && after.name(b"AS") == Some(b"Seal")
            && is_same_but(before, after, &[b"AP", b"AS"]);
        let sealed = sealed.filter(|_| is_filled).ok_or(Violation::Slice)?;
        self.picture(sealed)?;
        Ok(page)
    }

    /// Rule 11: the catalog names the signature that certifies.
    pub(super) fn certification(
        &self, before: &Dictionary, after: &Dictionary, signature: Option<&Signature>,
    ) -> Result<(), Violation> {
        let old = dictionary(self.old, before.get(b"Perms")).ok_or(Violation::Permissions)?;
        let Some(Value::Dictionary(new)) = after.get(b"Perms") else { return Err(Violation::Permissions) };
        let named = new.get(b"DocMDP").and_then(Value::as_reference);
        let is_named = signature.is_some_and(|signature| named == Some(signature.value));
        let is_same = old.get(b"DocMDP").is_none() && is_same_but(&old, new, &[b"DocMDP"]);
        (is_named && is_same).then_some(()).ok_or(Violation::Permissions)
    }
}

/// The name of the field to which a group of slices belongs; is it a date stamp's?
fn group_of(group: &Dictionary) -> Option<(&[u8], bool)> {
    let name = group.get(b"T")?.as_string().filter(|_| group.0.len() == 2 && group.get(b"Kids").is_some())?;
    let cross_page = name.strip_suffix(CROSS_PAGE).map(|owner| (owner, false));
    cross_page.or_else(|| name.strip_suffix(DATE).map(|owner| (owner, true)))
}

fn is_name(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=MAX_NAME).contains(&name.len()) && name.iter().all(is_plain)
}

/// A text string without its mark, and if it is UTF-16 of ASCII characters, these.
fn plain(text: &[u8]) -> Vec<u8> {
    if let Some(text) = text.strip_prefix(b"\xef\xbb\xbf") {
        return text.to_vec();
    }
    match text.strip_prefix(b"\xfe\xff") {
        Some(units) if units.chunks(2).all(|unit| matches!(unit, [0, 0..0x80])) => {
            units.chunks_exact(2).map(|unit| unit[1]).collect()
        }
        _ => text.to_vec(),
    }
}
