//! OCSP answers kept in an anchor (SPEC §10b, step 11): which of them count, and what they then do. Nobody else's
//! answer may harm a timestamp, and none that counts may be ignored.

use crate::anchors::{HEAD_MS, NOW_MS, trusting};
use crate::ledger::anchoring::{Authority, DAY_MS, Style};
use crate::ledger::responder::{Response, Signer, Status, delegate};
use crate::ledger::{Ledger, START_MS};
use crate::vector::{Expect, Vector};
use qz_evidence::bundle::Bundle;
use qz_evidence::checkpoint::Anchor;
use qz_evidence::codec::{Bytes, decode_strict, encode};

/// When the token was made.
const SIGNED_MS: u64 = HEAD_MS + 2000;
/// CRLReason (RFC 5280 §5.3.1).
const KEY_COMPROMISE: u8 = 1;
const SUPERSEDED: u8 = 4;
const CERTIFICATE_HOLD: u8 = 6;

/// An answer that would refuse the timestamp, with a change.
fn revoked(change: impl FnOnce(&mut Response)) -> Response {
    let mut response = Response::new(Status::Revoked(HEAD_MS, Some(SUPERSEDED)));
    change(&mut response);
    response
}

fn by(style: Style) -> Response {
    revoked(|r| r.signer = Signer::Delegate(style))
}

fn later(reason: Option<u8>) -> Response {
    Response::new(Status::Revoked(SIGNED_MS + DAY_MS, reason))
}

pub fn vectors(ledger: &Ledger, bundle: &Bundle, authority: &Authority) -> Vec<Vector> {
    let (counts, ignored) = (Expect::Refused(11), Expect::Valid);
    let good = Response::new(Status::Good);
    let key = |bytes: &'static [u8]| Some(bytes.to_vec());
    let cases = [
        ("OCSP: good", good.clone(), Expect::Valid),
        ("OCSP: good, by a delegate", Response { signer: Signer::Delegate(delegate()), ..good.clone() }, Expect::Valid),
        ("OCSP: revoked before", revoked(|_| {}), counts),
        ("OCSP: revoked before, named by the key", revoked(|r| r.by_key = true), counts),
        ("OCSP: revoked before, names by SHA-256", revoked(|r| r.sha256 = true), counts),
        ("OCSP: revoked before, by a delegate", by(delegate()), counts),
        ("OCSP: revoked before, by a delegate named by its key", Response { by_key: true, ..by(delegate()) }, counts),
        ("OCSP: revoked before, second of two answers", revoked(|r| r.second = true), counts),
        ("OCSP: key stolen even later", later(Some(KEY_COMPROMISE)), counts),
        ("OCSP: suspended later", later(Some(CERTIFICATE_HOLD)), counts),
        ("OCSP: revoked later without a reason", later(None), counts),
        ("OCSP: superseded later", later(Some(SUPERSEDED)), Expect::Valid),
        ("OCSP: unknown", Response::new(Status::Unknown), Expect::Valid),
        ("OCSP: revoked, by an impostor", revoked(|r| r.signer = Signer::Impostor), ignored),
        ("OCSP: revoked, by a delegate of others", revoked(|r| r.signer = Signer::Foreign), ignored),
        ("OCSP: revoked, by a timestamp authority", by(Style { nocheck: true, ..Style::default() }), ignored),
        ("OCSP: revoked, by a delegate to be asked about", by(Style { nocheck: false, ..delegate() }), ignored),
        ("OCSP: revoked, by a delegate who expired", by(Style { to_ms: START_MS + DAY_MS / 2, ..delegate() }), ignored),
        ("OCSP: revoked, another serial number", revoked(|r| r.serial = 3), ignored),
        ("OCSP: revoked, another issuer's name", revoked(|r| r.name_of_issuer = key(b"name")), ignored),
        ("OCSP: revoked, another issuer's key", revoked(|r| r.key_of_issuer = key(b"key")), ignored),
        ("OCSP: revoked, critical extension", revoked(|r| r.critical = true), ignored),
        ("OCSP: revoked, critical extension of the one", revoked(|r| r.critical_single = true), ignored),
        (
            "OCSP: revoked, next update before",
            revoked(|r| (r.this_ms, r.next_ms) = (HEAD_MS - DAY_MS, Some(HEAD_MS))),
            ignored,
        ),
        (
            "OCSP: revoked, next update at the time",
            revoked(|r| (r.this_ms, r.next_ms) = (HEAD_MS, Some(SIGNED_MS))),
            counts,
        ),
        ("OCSP: revoked, never updated, before", revoked(|r| (r.this_ms, r.next_ms) = (HEAD_MS, None)), ignored),
        ("OCSP: revoked, never updated, after", revoked(|r| r.next_ms = None), counts),
        ("OCSP: revoked, updates backwards", revoked(|r| r.next_ms = Some(r.this_ms - 1000)), ignored),
        ("OCSP: try later", Response { outcome: 3, ..good.clone() }, Expect::Refused(11)),
        ("OCSP: another type", Response { response_type: "1.3.6.1.4.1.32473.7", ..good.clone() }, Expect::Refused(11)),
    ];
    let with = |about: &str, change: &dyn Fn(&mut Anchor), expect| {
        let mut bundle = bundle.clone();
        let mut anchor: Anchor = decode_strict(&bundle.anchors[0]).unwrap();
        change(&mut anchor);
        bundle.anchors = vec![Bytes(encode(&anchor))];
        let mut vector = trusting(about, ledger, &bundle, authority, expect);
        vector.as_of_ms = NOW_MS + 2 * DAY_MS;
        vector
    };
    let answer = |response: &Response| Bytes(response.encode(authority));
    let mut all = vec![];
    for (about, response, expect) in &cases {
        // Without a list, and beside one that knows of no revocation.
        all.push(with(about, &|a| (a.ocsp, a.revocations) = (vec![answer(response)], vec![]), *expect));
        all.push(with(&format!("{about}, and a list"), &|a| a.ocsp = vec![answer(response)], *expect));
    }
    let bad = revoked(|_| {});
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = answer(&bad);
        change(&mut bytes.0);
        bytes
    };
    let refused = Expect::Refused(11);
    all.extend([
        with("OCSP: revoked, broken signature", &|a| a.ocsp = vec![broken(&|b| *b.last_mut().unwrap() ^= 1)], ignored),
        with("OCSP: good, then revoked", &|a| a.ocsp = vec![answer(&good), answer(&bad)], counts),
        with("OCSP: revoked, then good", &|a| a.ocsp = vec![answer(&bad), answer(&good)], counts),
        with("OCSP: trailing byte", &|a| a.ocsp = vec![broken(&|b| b.push(0))], refused),
        with("OCSP: cut short", &|a| a.ocsp = vec![broken(&|b| b.truncate(100))], refused),
        with("OCSP: nothing", &|a| a.ocsp = vec![Bytes(vec![])], refused),
        with("OCSP: nine answers", &|a| a.ocsp = vec![answer(&good); 9], Expect::Refused(1)),
        with("OCSP: eight answers", &|a| a.ocsp = vec![answer(&good); 8], Expect::Valid),
    ]);
    // The member itself with nothing in it: another encoding of the same.
    let mut empty = bundle.clone();
    let anchor = &mut empty.anchors[0].0;
    anchor[0] += 1;
    anchor.extend([5, 0x80]);
    all.push(trusting("OCSP: a list of none", ledger, &empty, authority, Expect::Refused(1)));
    all
}
