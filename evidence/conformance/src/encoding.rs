//! Attacks on the encoding (SPEC §1): other bytes for the same values, and values that the format has not.

use crate::bundles::vector;
use crate::ledger::Ledger;
use crate::vector::{Expect, Vector};
use qz_evidence::bundle::Bundle;
use qz_evidence::codec::{Bytes, encode};

/// Other bytes for a top-level map of fewer than 24 members whose key 0 is a tag of `tag` bytes.
fn forms(bytes: &[u8], tag: usize) -> Vec<(&'static str, Vec<u8>)> {
    let (count, rest) = (bytes[0], &bytes[1..]);
    let (first, others) = rest.split_at(2 + tag);
    let grown = |more: &[u8]| [&[count + 1], rest, more].concat();
    let mut other_tag = bytes.to_vec();
    other_tag[1 + tag] ^= 1;
    vec![
        ("trailing byte", [bytes, &[0]].concat()),
        ("the map twice", [bytes, bytes].concat()),
        ("overlong length of the map", [&[0xb8, count & 0x1f], rest].concat()),
        ("overlong key", [&[count, 0x18], rest].concat()),
        ("overlong length of a text", [&[count, 0, 0x78, tag as u8], &first[2..], others].concat()),
        ("map without a length", [&[0xbf], rest, &[0xff]].concat()),
        ("keys in another order", [&[count], others, first].concat()),
        ("a key twice", grown(first)),
        ("an unknown key", grown(&[0x18, 0x63, 0x00])),
        ("a negative key", grown(&[0x20, 0x00])),
        ("a text as key", grown(&[0x61, 0x61, 0x00])),
        ("true as key", grown(&[0xf5, 0x00])),
        ("a missing member", [&[count - 1], others].concat()),
        ("another tag", other_tag),
        ("an array of the members", [&[0x80 | ((count & 0x1f) * 2)], rest].concat()),
        ("a CBOR tag around the map", [&[0xd9, 0xd9, 0xf7], bytes].concat()),
    ]
}

/// A form of a member, put in the member's place.
type Place = (&'static str, usize, fn(&mut Bundle) -> &mut Bytes);

const PLACES: &[Place] = &[
    ("head", 12, |b| &mut b.head),
    ("commit", 24, |b| &mut b.commit),
    ("record", 12, |b| &mut b.entries[1].record),
    ("block header", 12, |b| &mut b.entries[1].header),
    ("subject head", 18, |b| b.states[0].head.as_mut().unwrap()),
];

pub fn vectors() -> Vec<Vector> {
    let ledger = Ledger::sample();
    let bundle = ledger.bundle();
    let bytes = encode(&bundle);
    let refused = |about: &str, file: Vec<u8>| vector("encoding", about, &ledger, file, Expect::Refused(1));
    let mut all: Vec<_> =
        forms(&bytes, 11).into_iter().map(|(about, file)| refused(&format!("bundle: {about}"), file)).collect();
    for (place, tag, member) in PLACES {
        let original = member(&mut bundle.clone()).clone();
        // The commit's tag is too long for a one-byte header; its forms that touch it are left to others.
        let header = if *tag < 24 { *tag } else { *tag + 1 };
        for (about, form) in forms(&original, header) {
            if *tag >= 24 && about == "overlong length of a text" {
                continue;
            }
            let mut bundle = bundle.clone();
            *member(&mut bundle) = Bytes(form);
            all.push(refused(&format!("{place}: {about}"), encode(&bundle)));
        }
    }
    // The bundle ends with `09 80`: no anchors. Key 8 is absent.
    let (body, anchors) = bytes.split_at(bytes.len() - 2);
    assert_eq!(anchors, [0x09, 0x80]);
    let with = |more: &[u8]| [&[bytes[0] + 1], &body[1..], more, anchors].concat();
    let without_anchors = |more: &[u8]| [body, &[0x09], more].concat();
    all.extend([
        refused("absent member as null", with(&[0x08, 0xf6])),
        refused("absent member as undefined", with(&[0x08, 0xf7])),
        refused("a text for bytes", with(&[0x08, 0x61, 0x61])),
        refused("bytes in pieces", with(&[0x08, 0x5f, 0x41, 0x61, 0xff])),
        refused("an array without a length", without_anchors(&[0x9f, 0xff])),
        refused("an overlong array", without_anchors(&[0x98, 0x00])),
        refused("an integer for an array", without_anchors(&[0x00])),
        refused("nothing", vec![]),
        refused("a break alone", vec![0xff]),
        refused("a thousand nested arrays", vec![0x81; 1000]),
        refused("an array of 2 to the 60", [&[0x9b, 0x10], [0; 7].as_slice()].concat()),
        refused("bytes of 2 to the 60", [&[0x5b, 0x10], [0; 7].as_slice()].concat()),
        refused("larger than 16 MiB", too_large(&bundle)),
        refused("4097 records", too_many(&bundle)),
        refused("not CBOR at all", b"PK\x05\x06 an archive, perhaps".to_vec()),
    ]);
    all
}

fn too_large(bundle: &Bundle) -> Vec<u8> {
    let mut bundle = bundle.clone();
    bundle.anchors = vec![Bytes(vec![0; 16 * 1024 * 1024])];
    encode(&bundle)
}

fn too_many(bundle: &Bundle) -> Vec<u8> {
    let mut bundle = bundle.clone();
    let entry = bundle.entries.remove(0);
    bundle.entries = vec![entry; 4097];
    encode(&bundle)
}
