//! Where every seal of a contract goes: the fields and the slices of cross-page seals 骑缝章, which are
//! reserved in the file before the first signature, and what a signature's record says of its places.

use crate::app::App;
use crate::contracts::imprint_size;
use crate::documents;
use crate::error::{ServiceError, blocking};
use qz_document::sign::{self, EmptyField, Lock, Straddling};
use qz_domain::contract::caption::{CAPTION, CAPTION_GAP_MM, Extent};
use qz_domain::contract::straddle::Slice;
use qz_domain::contract::{self as rules, Contract, DATE_STAMP, Field, Size, Slot};
use qz_storage::documents::Document;
use serde_json::{Value, json};

/// The place of one slot.
pub struct Place {
    /// Size of its imprint.
    pub imprint: Size,
    /// The rectangle of its widget.
    pub extent: Extent,
    /// Name of its field.
    pub field_name: String,
    /// Its cross-page seal.
    pub straddling: Option<Straddling>,
    /// The place of its date stamp.
    pub date: Option<Straddling>,
}

impl Place {
    /// What has to be reserved besides the field.
    fn marks(&self) -> impl Iterator<Item = &Straddling> {
        self.straddling.iter().chain(&self.date)
    }
}

/// The places of all slots of a contract, in their order.
pub struct Layout {
    places: Vec<Place>,
    certified: bool,
}

impl Layout {
    /// By the contract's plan and the sizes of its document's pages; `certified`: the first signature certifies the file.
    pub async fn of(
        app: &App, contract: &Contract, original: &Document, certified: bool,
    ) -> Result<Self, ServiceError> {
        let pages = documents::page_sizes(original)?;
        let mut places = Vec::with_capacity(contract.slots.len());
        for (index, slot) in contract.slots.iter().enumerate() {
            let imprint = imprint_size(app, slot).await?;
            let field_name = field_name(index);
            let slices = rules::slices(&contract.slots, index, &pages, imprint)?;
            let straddling = slices.map(|slices| Straddling {
                name: format!("{field_name}-straddle"),
                title: format!("骑缝章 cross-page seal · {}", rules::role_words(slot.role)),
                slices,
            });
            let date = slot.date.map(|field| Straddling {
                name: format!("{field_name}-date"),
                title: format!("日期章 date stamp · {}", rules::role_words(slot.role)),
                slices: vec![whole(field, DATE_STAMP)],
            });
            let extent = Extent::of(imprint, slot.caption);
            places.push(Place { imprint, extent, field_name, straddling, date });
        }
        Ok(Self { places, certified })
    }

    /// The place of a slot that there is.
    pub fn place(&self, index: u8) -> Result<&Place, ServiceError> {
        let place = self.places.get(usize::from(index));
        place.ok_or_else(|| ServiceError::Damaged(format!("no place for slot {index}")))
    }

    /// Must places be reserved before somebody signs? A file without certification and cross-page seals gets its fields
    /// one by one.
    fn is_reserved(&self) -> bool {
        self.certified || self.places.iter().any(|place| place.marks().next().is_some())
    }

    /// The file with the places in it, for the first signature.
    pub async fn reserve(&self, contract: &Contract, pdf: Vec<u8>) -> Result<Vec<u8>, ServiceError> {
        if !self.is_reserved() {
            return Ok(pdf);
        }
        let first = contract.slots.iter().map(|slot| slot.group).min();
        let lock = |place: &Place, slot: &Slot| {
            let mut names: Vec<String> = place.marks().flat_map(Straddling::field_names).collect();
            // Behind a certification each signature fixes its own field; the certification itself fixes the rest.
            if self.certified && Some(slot.group) != first {
                names.push(place.field_name.clone());
            }
            (!names.is_empty()).then_some(Lock::Only(names))
        };
        let field = |(place, slot): (&Place, &Slot)| EmptyField {
            name: place.field_name.clone(),
            page: slot.field.page,
            x_mm: slot.field.x_mm - place.extent.left_mm,
            y_mm: slot.field.y_mm - place.extent.below_mm,
            width_mm: place.extent.size().width_mm,
            height_mm: place.extent.size().height_mm,
            lock: lock(place, slot),
        };
        let fields: Vec<EmptyField> = self.places.iter().zip(&contract.slots).map(field).collect();
        let straddlings: Vec<Straddling> = self.places.iter().flat_map(Place::marks).cloned().collect();
        blocking(move || sign::reserve_all(&pdf, &fields, &straddlings)).await
    }
}

/// A whole imprint around a place.
fn whole(field: Field, Size { width_mm, height_mm }: Size) -> Slice {
    let (x_mm, y_mm) = (field.x_mm - width_mm / 2.0, field.y_mm - height_mm / 2.0);
    Slice { page: field.page, x_mm, y_mm, left_mm: 0.0, bottom_mm: 0.0, width_mm, height_mm }
}

fn field_name(slot: usize) -> String {
    format!("qz-slot-{slot}")
}

/// What the record of a signature commits to: every place where the imprint stands, in millimetres from the
/// lower left corner of the page as displayed. `docs/SPEC.md` has the form.
pub fn positions(slot: &Slot, place: &Place) -> Value {
    let Size { width_mm, height_mm } = place.imprint;
    let slice = |slice: &Slice| {
        let part = [slice.x_mm, slice.y_mm, slice.width_mm, slice.height_mm].map(hundredths);
        json!([slice.page, part[0], part[1], part[2], part[3]])
    };
    let slices =
        |of: &Option<Straddling>| of.as_ref().map(|straddling| straddling.slices.iter().map(slice).collect::<Vec<_>>());
    json!({
        "field": place.field_name,
        "page": slot.field.page,
        "x_mm": hundredths(slot.field.x_mm - width_mm / 2.0),
        "y_mm": hundredths(slot.field.y_mm - height_mm / 2.0),
        "width_mm": hundredths(width_mm),
        "height_mm": hundredths(height_mm),
        "straddle": slices(&place.straddling),
        "date": slices(&place.date),
        "caption": slot.caption.then(|| {
            let (left, below) = (CAPTION.width_mm / 2.0, CAPTION.height_mm);
            let top = slot.field.y_mm - height_mm / 2.0 - CAPTION_GAP_MM;
            [slot.field.x_mm - left, top - below, CAPTION.width_mm, CAPTION.height_mm].map(hundredths)
        }),
    })
}

fn hundredths(mm: f64) -> f64 {
    (mm * 100.0).round() / 100.0
}
