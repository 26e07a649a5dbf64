//! Cross-page seals 骑缝章: two parties seal thirty pages, and every earlier signature stays valid for pyHanko
//! and intact in our own examination; whoever touches the slices otherwise is found out.
#![allow(clippy::unwrap_used)]

mod support;

use qz_document::inspect::Pdf;
use qz_document::render::{self, sample};
use qz_document::seal::{self, Caption, Imprint};
use qz_document::sign::{self, EmptyField, FieldRequest, Lock, Policy, SignError, Straddling};
use qz_domain::contract::Size;
use qz_domain::contract::caption::{CAPTION, CAPTION_GAP_MM};
use qz_domain::contract::straddle::{Edge, Sides, Straddle};
use qz_evidence_pdf::{DocumentVerdict, SignatureStatus, TrustedRoots, examine};
use support::classic::Classic;
use support::ltv::{Tsa, archived};
use support::{Demo, NOW_MS, Signer, oracle, request};

/// A contract of at least `pages` pages.
fn contract(pages: usize) -> Vec<u8> {
    let mut text = sample::contract("QF-30", "2026年11月22日", NOW_MS);
    let clauses = text.clauses.clone();
    loop {
        let rendered = render::contract(&text).unwrap();
        if rendered.pages >= pages {
            return rendered.pdf;
        }
        let times = pages.div_ceil(rendered.pages).saturating_sub(1).max(1);
        for _ in 0..times {
            text.clauses.extend(clauses.iter().cloned().map(|clause| render::Clause { table: None, ..clause }));
        }
    }
}

struct Party<'a> {
    field: String,
    signer: &'a Signer,
    name: &'static str,
    imprint: Imprint,
    caption: Caption,
    straddling: Straddling,
    x_mm: f64,
}

fn sizes(pdf: &[u8]) -> Vec<Size> {
    let mm = |points: f64| points / 72.0 * 25.4;
    let pages = Pdf::open(pdf).unwrap().page_sizes();
    pages.iter().map(|page| Size { width_mm: mm(page.width), height_mm: mm(page.height) }).collect()
}

fn parties<'a>(demo: &'a Demo, pdf: &[u8], straddle: Straddle) -> Vec<Party<'a>> {
    let pages = sizes(pdf);
    let party = |index: usize, signer, name, x_mm| {
        let imprint = seal::company_seal(name, "合同专用章").unwrap();
        let size = Size { width_mm: imprint.width_mm, height_mm: imprint.height_mm };
        let share = (2 - index) as f64 / 3.0;
        Party {
            field: format!("qz-slot-{index}"),
            signer,
            name,
            straddling: Straddling {
                name: format!("qz-slot-{index}-straddle"),
                title: format!("骑缝章 {name}"),
                slices: straddle.slices(&pages, size, share).unwrap(),
            },
            imprint,
            caption: Caption { signer: name.into(), seal: Some("合同专用章".into()), is_demonstration: true },
            x_mm,
        }
    };
    vec![party(0, &demo.buyer, sample::BUYER, 30.0), party(1, &demo.seller, sample::SELLER, 120.0)]
}

fn reserved(pdf: &[u8], page: usize, parties: &[Party<'_>]) -> Vec<u8> {
    let field = |party: &Party<'_>| EmptyField {
        name: party.field.clone(),
        page,
        x_mm: party.x_mm,
        y_mm: 40.0 - CAPTION_GAP_MM - CAPTION.height_mm,
        width_mm: party.imprint.width_mm,
        height_mm: party.imprint.height_mm + CAPTION_GAP_MM + CAPTION.height_mm,
        lock: Some(Lock::Only(party.straddling.field_names())),
    };
    let fields: Vec<_> = parties.iter().map(field).collect();
    let slices: Vec<_> = parties.iter().map(|party| party.straddling.clone()).collect();
    sign::reserve_all(pdf, &fields, &slices).unwrap()
}

fn signed(demo: &Demo, pdf: &[u8], page: usize, party: &Party<'_>, policy: Policy) -> Vec<u8> {
    let request = FieldRequest {
        page,
        x_mm: party.x_mm,
        y_mm: 40.0,
        caption: Some(&party.caption),
        policy,
        ..request(&party.field, &party.imprint, party.name)
    };
    let prepared = sign::prepare_straddling(pdf, &request, &party.straddling).unwrap();
    assert_eq!(&prepared.bytes[..pdf.len()], pdf, "an update never touches what is before it");
    let chain = [demo.ca.certificate_der().to_vec()];
    let cms = qz_document::cms::sign(&prepared.digest, &party.signer.key, &party.signer.certificate, &chain).unwrap();
    sign::complete(&prepared, &cms).unwrap()
}

/// How many signatures pyHanko calls valid.
fn valid(demo: &Demo, pdf: &[u8]) -> (usize, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("ca.pem"), demo.ca_pem()).unwrap();
    std::fs::write(path("signed.pdf"), pdf).unwrap();
    let (ok, text) = oracle(&["structure", &path("signed.pdf")]);
    assert!(ok, "{text}");
    let (_, text) = oracle(&["validate", &path("ca.pem"), &path("signed.pdf")]);
    (text.matches("judged VALID").count(), text)
}

fn intact(pdf: &[u8], count: usize) {
    let report = examine(pdf, &TrustedRoots::default());
    assert_eq!(report.verdict, DocumentVerdict::Intact, "{:#?}", report.signatures);
    assert_eq!(report.signatures.len(), count);
    assert!(report.signatures.iter().all(|one| one.status == SignatureStatus::Intact));
}

#[test]
fn two_parties_seal_thirty_pages() {
    let demo = Demo::new();
    let plain = contract(30);
    let pages = sizes(&plain).len();
    assert!(pages >= 30);
    for policy in [Policy::Approval, Policy::Certification] {
        let parties = parties(&demo, &plain, Straddle::default());
        assert!(parties.iter().all(|party| party.straddling.slices.len() == pages));
        let mut pdf = reserved(&plain, pages, &parties);
        assert_eq!(&pdf[..plain.len()], plain);
        pdf = signed(&demo, &pdf, pages, &parties[0], policy.clone());
        intact(&pdf, 1);
        pdf = signed(&demo, &pdf, pages, &parties[1], Policy::Approval);
        intact(&pdf, 2);
        let (count, text) = valid(&demo, &pdf);
        assert_eq!(count, 2, "{policy:?}: {text}");

        // Validation data and a timestamp over the file change nothing of what was signed.
        let tsa = Tsa::new();
        intact(&demo.with_validation_data(&pdf, &tsa, &[]), 2);
        let report =
            examine(&archived(&demo.with_validation_data(&pdf, &tsa, &[]), &tsa, "stamp"), &TrustedRoots::default());
        assert_eq!(report.verdict, DocumentVerdict::Intact);

        // Each signature fixes its own slices and says so.
        let report = examine(&pdf, &TrustedRoots::default());
        for (signature, party) in report.signatures.iter().zip(&parties) {
            assert!(party.straddling.field_names().iter().all(|name| signature.locks.contains(name)));
            assert_eq!(signature.placements.len(), 1 + pages, "the field and its slices");
        }
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        if let Some(folder) = std::env::var_os("QZ_KEEP") {
            std::fs::write(std::path::Path::new(&folder).join("straddle-30.pdf"), &pdf).unwrap();
        }
    }
}

/// Appends an update that changes a dictionary with this partial name below this field.
fn tampered(
    pdf: &[u8], field: &str, slice: &str, change: impl Fn(&mut lopdf::Dictionary, &lopdf::Document),
) -> Vec<u8> {
    let document = lopdf::Document::load_mem(pdf).unwrap();
    let named = |dictionary: &lopdf::Dictionary, name: &str| {
        dictionary.get(b"T").and_then(lopdf::decode_text_string).is_ok_and(|found| found == name)
    };
    let parent = document.objects.values().filter_map(|object| object.as_dict().ok()).find(|found| named(found, field));
    let kids = parent.unwrap().get(b"Kids").unwrap().as_array().unwrap().clone();
    let ids = kids.iter().map(|kid| kid.as_reference().unwrap());
    let id = ids.into_iter().find(|id| named(document.get_dictionary(*id).unwrap(), slice)).unwrap();
    let mut widget = document.get_dictionary(id).unwrap().clone();
    change(&mut widget, &document);
    let mut update = lopdf::IncrementalDocument::create_from(pdf.to_vec(), document);
    update.new_document.set_object(id, widget);
    let mut out = Vec::new();
    update.save_to(&mut out).unwrap();
    out
}

fn verdict(pdf: &[u8]) -> DocumentVerdict {
    examine(pdf, &TrustedRoots::default()).verdict
}

#[test]
fn slices_come_with_their_signature_only_and_stay() {
    let demo = Demo::new();
    let plain = contract(3);
    let pages = sizes(&plain).len();
    let parties = parties(&demo, &plain, Straddle::default());
    let pdf = reserved(&plain, pages, &parties);
    let once = signed(&demo, &pdf, pages, &parties[0], Policy::Certification);
    let twice = signed(&demo, &once, pages, &parties[1], Policy::Approval);
    intact(&twice, 2);
    let (own, other) = (&parties[0].straddling.name, &parties[1].straddling.name);

    // Somebody draws the other party's seal without its signature; pyHanko takes that for filling in a form.
    let drawn = tampered(&once, other, "p2", |widget, document| {
        let form = |object: (&lopdf::ObjectId, &lopdf::Object)| {
            let stream = object.1.as_stream().ok()?;
            (stream.content == b"/I Do").then_some(*object.0)
        };
        let form = document.objects.iter().find_map(form).unwrap();
        let looks = widget.get_mut(b"AP").unwrap().as_dict_mut().unwrap();
        looks.get_mut(b"N").unwrap().as_dict_mut().unwrap().set("Seal", form);
        widget.set("AS", "Seal");
    });
    assert_eq!(verdict(&drawn), DocumentVerdict::Changed);

    // Somebody signs a field of their own, and puts the other party's seal into its places.
    let own_field = FieldRequest { page: 1, x_mm: 30.0, y_mm: 20.0, ..request("other", &parties[1].imprint, "丙") };
    let open = signed(&demo, &pdf, pages, &parties[0], Policy::Approval);
    let stolen = sign::prepare_straddling(&open, &own_field, &parties[1].straddling).unwrap();
    let cms = qz_document::cms::sign(&stolen.digest, &demo.person.key, &demo.person.certificate, &[]).unwrap();
    assert_eq!(verdict(&sign::complete(&stolen, &cms).unwrap()), DocumentVerdict::Changed);

    // Somebody hides a slice, or moves it.
    let hidden = tampered(&twice, own, "p1", |widget, _| widget.set("AS", "Off"));
    let moved = tampered(&twice, other, "p1", |widget, _| {
        widget.set("Rect", vec![100.into(), 100.into(), 140.into(), 200.into()]);
    });
    for (what, pdf) in [("hidden", hidden), ("moved", moved)] {
        assert_eq!(verdict(&pdf), DocumentVerdict::Changed, "{what}");
        let (count, text) = valid(&demo, &pdf);
        assert!(count < 2, "{what}: {text}");
    }
}

#[test]
fn every_edge_group_and_rotation() {
    let demo = Demo::new();
    let plain = contract(5);
    for (edge, sides, group) in [
        (Edge::Right, Sides::Single, 2),
        (Edge::Left, Sides::Single, 3),
        (Edge::Top, Sides::Double, 2),
        (Edge::Bottom, Sides::Single, 40),
    ] {
        let pages = sizes(&plain).len();
        let straddle = Straddle { edge, sides, group, middle_mm: None };
        let parties = parties(&demo, &plain, straddle);
        let pdf = signed(&demo, &reserved(&plain, pages, &parties), pages, &parties[0], Policy::Approval);
        let pdf = signed(&demo, &pdf, pages, &parties[1], Policy::Approval);
        intact(&pdf, 2);
        let (count, text) = valid(&demo, &pdf);
        assert_eq!(count, 2, "{edge:?}: {text}");
    }

    // Pages that are turned, in a file by another producer.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("a.pdf"), Classic { page_extra: "/Rotate 270", ..Classic::default() }.bytes()).unwrap();
    std::fs::write(path("b.pdf"), Classic { page_extra: "/Rotate 90", ..Classic::default() }.bytes()).unwrap();
    let merged =
        oracle(&["rewrite", &path("a.pdf"), &path("out.pdf"), "--pages", &path("a.pdf"), &path("b.pdf"), "--"]);
    assert!(merged.0, "{}", merged.1);
    let plain = std::fs::read(path("out.pdf")).unwrap();
    assert_eq!(sizes(&plain).len(), 2);
    let parties = parties(&demo, &plain, Straddle::default());
    let pdf = signed(&demo, &reserved(&plain, 2, &parties), 2, &parties[0], Policy::Approval);
    let pdf = signed(&demo, &pdf, 2, &parties[1], Policy::Approval);
    intact(&pdf, 2);
    assert_eq!(valid(&demo, &pdf).0, 2);
    if let Some(folder) = std::env::var_os("QZ_KEEP") {
        std::fs::write(std::path::Path::new(&folder).join("straddle-turned.pdf"), &pdf).unwrap();
    }
}

#[test]
fn what_is_refused() {
    let demo = Demo::new();
    let plain = contract(3);
    let pages = sizes(&plain).len();
    let parties = parties(&demo, &plain, Straddle::default());
    let request = FieldRequest {
        page: pages,
        x_mm: parties[0].x_mm,
        y_mm: 40.0,
        caption: Some(&parties[0].caption),
        ..request(&parties[0].field, &parties[0].imprint, parties[0].name)
    };
    let straddling = &parties[0].straddling;
    let bare = sign::prepare_straddling(&plain, &request, straddling);
    assert!(matches!(bare, Err(SignError::NotReserved(_))));
    let pdf = reserved(&plain, pages, &parties);
    let mut elsewhere = straddling.clone();
    elsewhere.slices[0].y_mm += 20.0;
    assert!(matches!(sign::prepare_straddling(&pdf, &request, &elsewhere), Err(SignError::FieldElsewhere(_))));
    let mut fewer = straddling.clone();
    fewer.slices.pop();
    assert!(matches!(sign::prepare_straddling(&pdf, &request, &fewer), Err(SignError::NotReserved(_))));
    let twice = sign::reserve_all(&pdf, &[], std::slice::from_ref(straddling));
    assert!(matches!(twice, Err(SignError::FieldExists(_))));
    let once = signed(&demo, &pdf, pages, &parties[0], Policy::Approval);
    let late = Straddling { name: "late".into(), ..straddling.clone() };
    assert!(matches!(sign::reserve_all(&once, &[], &[late]), Err(SignError::StraddleTooLate)));
    let other = FieldRequest { field_name: "other", x_mm: 75.0, ..request };
    assert!(matches!(sign::prepare_straddling(&once, &other, straddling), Err(SignError::FieldLocked(_))));
}
