//! Steps 7–9: what the proven records say, who signed them, where the subjects stand, which files.

use super::members::Members;
use super::{
    CertificateReport, Decoded, Disclosure, DocumentReport, Event, Failure, GivenDocument, GivenSignature, Note,
    Opened, SubjectReport, TrustInputs,
};
use crate::commitment::{Opening, name};
use crate::genesis::Genesis;
use crate::hash::{Hash32, sha256};
use crate::ids::SubjectId;
use crate::payload::Payload;
use crate::state_proof::SubjectHead;
use crate::submission::actor_message;
use der::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// What step 7 finds, with its note.
type Signatures = ((Vec<Event>, Vec<CertificateReport>), Note);
/// What step 9 finds, with its note.
type Disclosures = ((Vec<Disclosure>, Vec<DocumentReport>), Note);
/// A disclosed digest: index of the event, name of the commitment, digest.
type NamedDigest = (usize, String, Hash32);

/// Step 7. Closes: relabelled records and forged actors.
pub(super) fn signatures(decoded: &Decoded, genesis: &Genesis, members: &Members) -> Result<Signatures, Failure> {
    let mut events = vec![];
    let mut verified = 0;
    for (i, opened) in decoded.entries.iter().enumerate() {
        let fail = |zh: &str, en: &str| Failure::new(format!("第 {i} 条记录：{zh}"), format!("record {i}: {en}"));
        if opened.record.height != opened.header.height {
            return Err(fail("自称的高度与所在区块不符", "its height is not its block's"));
        }
        if !opened.parsed.relay_signature_holds() {
            return Err(fail("中继成员的签名无效", "the relay's signature does not verify"));
        }
        let submission = opened.parsed.submission();
        if submission.actors.len() != opened.record.actor_keys.len() {
            return Err(fail("签名与密钥数目不符", "the number of actors is not the number of keys"));
        }
        let message = actor_message(&opened.parsed.digest());
        for (actor, key) in submission.actors.iter().zip(&opened.record.actor_keys) {
            if !key.verify(&message, &actor.signature) {
                return Err(fail("当事人的签名无效", "an actor's signature does not verify"));
            }
            verified += 1;
        }
        let place = (opened.header.height, opened.record.index);
        let relay = members.before(&submission.relay, place).filter(|o| o.relay_key == submission.relay_key);
        let Some(relay) = relay else {
            return Err(fail(
                "中继密钥不是创世文件或所附治理记录中该成员的密钥",
                "the relay key is not that member's, by the genesis or by a governance record that is shown",
            ));
        };
        let hidden = hidden(opened, &decoded.bundle.entries[i].openings);
        events.push(Event { relay_roles: relay.roles.clone(), hidden, ..event(opened, genesis, members) });
    }
    let certificates = certificates(decoded)?;
    let note = Note::new(
        format!(
            "{} 个中继签名、{verified} 个当事人签名逐一通过；{} 份数字证书在使用时有效",
            events.len(),
            certificates.len()
        ),
        format!(
            "{} relay signatures and {verified} actors' signatures verified one by one; {} X.509 certificates were valid when used",
            events.len(),
            certificates.len()
        ),
    );
    Ok(((events, certificates), note))
}

/// Commitments of a record that the bundle leaves closed.
fn hidden(opened: &Opened, openings: &[Opening]) -> Vec<String> {
    let closed = opened.parsed.body().commitments.iter().filter(|c| openings.iter().all(|o| o.name != c.name));
    closed.map(|commitment| commitment.name.clone()).collect()
}

fn event(opened: &Opened, genesis: &Genesis, members: &Members) -> Event {
    let kind = opened.parsed.body().payload.kind();
    let submission = opened.parsed.submission();
    let signers = submission.actors.iter().map(|actor| {
        let office = members.of_subject(genesis, &actor.subject);
        office.map_or_else(|| actor.subject.to_string(), |o| format!("org:{}", o.id))
    });
    Event {
        height: opened.record.height,
        index: opened.record.index,
        time_ms: opened.header.time_ms,
        claimed_time_ms: opened.parsed.body().claimed_time_ms,
        kind: kind.name,
        title_zh: kind.zh,
        title_en: kind.en,
        record_hash: opened.bytes_hash,
        relay: submission.relay.clone(),
        relay_roles: vec![],
        signers: signers.collect(),
        subjects: opened.record.links.iter().map(|link| link.subject).collect(),
        hidden: vec![],
    }
}

/// Certificates are the ones that a disclosed `certificate.sha256` names, and were valid at every use.
fn certificates(decoded: &Decoded) -> Result<Vec<CertificateReport>, Failure> {
    let mut reports = vec![];
    for (i, given) in decoded.bundle.certificates.iter().enumerate() {
        let fail =
            |zh: &str, en: &str| Failure::new(format!("数字证书 {i}：{zh}"), format!("X.509 certificate {i}: {en}"));
        let index = usize::try_from(given.entry).unwrap_or(usize::MAX);
        let (Some(opened), Some(entry)) = (decoded.entries.get(index), decoded.bundle.entries.get(index)) else {
            return Err(fail("所指记录不存在", "its record is not in the bundle"));
        };
        let Some(leaf) = given.chain.first() else { return Err(fail("为空", "it is empty")) };
        let digest = sha256(&[leaf]);
        let disclosed = entry.openings.iter().any(|o| o.name == name::CERTIFICATE && o.value[..] == digest.0);
        if !disclosed {
            return Err(fail("不是记录所承诺的证书", "it is not the one that the record commits to"));
        }
        let certificate =
            x509_cert::Certificate::from_der(leaf).map_err(|_| fail("无法解析", "it cannot be decoded"))?;
        let tbs = certificate.tbs_certificate();
        let millis =
            |time: &x509_cert::time::Time| u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX);
        let (not_before_ms, not_after_ms) = (millis(&tbs.validity().not_before), millis(&tbs.validity().not_after));
        for user in decoded.entries.iter().filter(|user| uses(user, opened)) {
            if !(not_before_ms..=not_after_ms).contains(&user.header.time_ms) {
                return Err(fail("签署时不在有效期内", "it was not valid when it was used"));
            }
        }
        reports.push(CertificateReport {
            event: index,
            subject: tbs.subject().to_string(),
            issuer: tbs.issuer().to_string(),
            serial: hex::encode(tbs.serial_number().as_bytes()),
            not_before_ms,
            not_after_ms,
        });
        for issuer in &given.chain[1..] {
            let decodes =
                x509_cert::Certificate::from_der(issuer).is_ok_and(|c| c.to_der().is_ok_and(|d| d == issuer.0));
            if !decodes {
                return Err(fail("签发者证书无法解析", "an issuer certificate cannot be decoded"));
            }
        }
    }
    Ok(reports)
}

/// Does this record sign by the certificate that `named` names? A signature by a key names its own; one with a
/// seal is by the certificate that the seal was made with.
fn uses(user: &Opened, named: &Opened) -> bool {
    let Payload::ContractSigned(signed) = &user.parsed.body().payload else { return false };
    match signed.seal {
        None => std::ptr::eq(user, named),
        Some(seal) => is_making_of(named, seal),
    }
}

/// Did this record make the seal? A subject's id is derived from the body that created it.
fn is_making_of(opened: &Opened, seal: SubjectId) -> bool {
    let body = opened.parsed.body();
    matches!(body.payload, Payload::SealMade(_))
        && SubjectId::created_by(&body.chain_id, &opened.parsed.digest()) == seal
}

/// The head's time against the verifier's clock; with a greatest age, every subject needs its state.
fn fresh(decoded: &Decoded, trust: &TrustInputs<'_>) -> Result<(), Failure> {
    let head = &decoded.head;
    if head.time_ms > trust.as_of_ms.saturating_add(5 * 60 * 1000) {
        return Err(Failure::new("首块的时间在将来", "the head block's time lies in the future"));
    }
    let Some(limit) = trust.max_age_ms else { return Ok(()) };
    let age = trust.as_of_ms.saturating_sub(head.time_ms);
    if age > limit {
        return Err(Failure::new(
            format!("状态证明已有 {} 秒，超过所要求的 {} 秒", age / 1000, limit / 1000),
            format!("the state proof is {} seconds old, more than the {} allowed", age / 1000, limit / 1000),
        ));
    }
    match unproven_subjects(decoded).first() {
        Some(subject) => Err(Failure::new(
            format!("主体 {subject} 没有状态证明，无法判断其后有无变更"),
            format!("subject {subject} has no state proof, so nothing can be said about later changes"),
        )),
        None => Ok(()),
    }
}

/// Subjects of the shown records about which the bundle has no state proof.
fn unproven_subjects(decoded: &Decoded) -> Vec<SubjectId> {
    let links = decoded.entries.iter().flat_map(|opened| &opened.record.links);
    let mut subjects: Vec<_> = links.map(|link| link.subject).collect();
    subjects.sort();
    subjects.dedup();
    subjects.retain(|subject| decoded.bundle.states.iter().all(|proof| proof.subject != *subject));
    subjects
}

/// What a reader must know that step 8 could not show.
pub(super) fn open_ends(decoded: &Decoded, subjects: &[SubjectReport]) -> Vec<Note> {
    let unproven = unproven_subjects(decoded).into_iter().map(|subject| {
        Note::new(
            format!("主体 {subject} 没有状态证明：其后有无变更未校验。"),
            format!("Subject {subject} has no state proof: whether anything later happened to it was not checked."),
        )
    });
    let incomplete = subjects.iter().filter(|report| !report.complete).map(|report| {
        let SubjectReport { subject, records, .. } = report;
        Note::new(
            format!("主体 {subject} 共有 {records} 条记录，本证明只列出其中一部分。"),
            format!("Subject {subject} has {records} records, of which this proof shows some."),
        )
    });
    unproven.chain(incomplete).collect()
}

/// Step 8. Closes: a later amendment, termination or use that is not shown.
pub(super) fn states(decoded: &Decoded, trust: &TrustInputs<'_>) -> Result<(Vec<SubjectReport>, Note), Failure> {
    let head = &decoded.head;
    fresh(decoded, trust)?;
    let mut seen = BTreeMap::new();
    for opened in &decoded.entries {
        for link in &opened.record.links {
            seen.entry(link.subject).or_insert_with(Vec::new).push((link, opened.bytes_hash));
        }
    }
    for (subject, links) in &seen {
        check_links(links).map_err(|en| {
            Failure::new(format!("主体 {subject}：记录前后矛盾（{en}）"), format!("subject {subject}: {en}"))
        })?;
    }
    let mut reports: Vec<SubjectReport> = vec![];
    for (proof, state) in decoded.bundle.states.iter().zip(&decoded.heads) {
        let subject = proof.subject;
        let fail =
            |zh: &str, en: &str| Failure::new(format!("主体 {subject}：{zh}"), format!("subject {subject}: {en}"));
        if reports.iter().any(|r| r.subject == subject) {
            return Err(fail("重复", "it stands twice"));
        }
        if proof.root() != Some(head.state_root) {
            return Err(fail("状态证明与首块不符", "the state proof does not lead to the head block's state root"));
        }
        let Some(state) = state else {
            if seen.contains_key(&subject) {
                return Err(fail("有记录却证明其不存在", "records exist but the proof says that it does not"));
            }
            reports.push(absent(subject, head.height, head.time_ms));
            continue;
        };
        let links = seen.get(&subject).map_or(&[][..], |links| &links[..]);
        let complete = check_state(links, state).map_err(|en| fail("记录与状态矛盾", en))?;
        let (status_zh, status) = state.status.words();
        reports.push(SubjectReport {
            subject,
            subject_type: Some(state.subject_type),
            status_zh,
            status,
            records: state.records,
            complete,
            as_of_height: head.height,
            as_of_time_ms: head.time_ms,
        });
    }
    let complete = reports.iter().filter(|r| r.complete).count();
    let note = Note::new(
        format!(
            "截至区块 {}，{} 个主体的状态已证明，其中 {complete} 个的全部记录均在本证明中",
            head.height,
            reports.len()
        ),
        format!(
            "as of block {}, the state of {} subjects is proven; for {complete} of them every record is in this proof",
            head.height,
            reports.len()
        ),
    );
    Ok((reports, note))
}

fn absent(subject: SubjectId, as_of_height: crate::ids::Height, as_of_time_ms: u64) -> SubjectReport {
    SubjectReport {
        subject,
        subject_type: None,
        status_zh: "不存在",
        status: "does not exist",
        records: 0,
        complete: true,
        as_of_height,
        as_of_time_ms,
    }
}

/// The shown records of a subject: later ones have higher sequences, and name the one before if it is shown.
fn check_links(links: &[(&crate::record::Link, Hash32)]) -> Result<(), &'static str> {
    let mut before: Option<(u64, Hash32)> = None;
    for (link, hash) in links {
        let expected = match before {
            Some((sequence, _)) if link.sequence <= sequence => {
                return Err("two records have the same sequence number, or go back");
            }
            Some((sequence, hash)) if link.sequence - 1 == sequence => Some(hash),
            _ if link.sequence == 0 => Some(Hash32::ZERO),
            _ => None,
        };
        if expected.is_some_and(|expected| expected != link.previous) {
            return Err("a record does not link to the one before it");
        }
        before = Some((link.sequence, *hash));
    }
    Ok(())
}

/// Compares the shown records of a subject with its state; true if all of its records are shown.
fn check_state(links: &[(&crate::record::Link, Hash32)], state: &SubjectHead) -> Result<bool, &'static str> {
    for (link, hash) in links {
        if link.sequence >= state.records {
            return Err("a record's sequence number is above the proven last one");
        }
        if link.sequence + 1 == state.records && *hash != state.last_record {
            return Err("the last record is not the one that the state names");
        }
    }
    Ok(u64::try_from(links.len()).is_ok_and(|n| n == state.records))
}

/// Step 9. Closes: altered contents and files.
pub(super) fn disclosures(decoded: &Decoded, documents: &[GivenDocument<'_>]) -> Result<Disclosures, Failure> {
    let mut disclosures = vec![];
    let mut digests = vec![];
    for (i, (opened, entry)) in decoded.entries.iter().zip(&decoded.bundle.entries).enumerate() {
        for (n, opening) in entry.openings.iter().enumerate() {
            let fail = |zh: &str, en: &str| {
                Failure::new(
                    format!("第 {i} 条记录的“{}”：{zh}", opening.name),
                    format!("record {i}, `{}`: {en}", opening.name),
                )
            };
            if opened.parsed.body().commitment(&opening.name) != Some(&opening.commitment().hash) {
                return Err(fail("披露值与链上承诺不符", "the disclosed value does not open the record's commitment"));
            }
            if entry.openings[..n].iter().any(|other| other.name == opening.name) {
                return Err(fail("重复披露", "it is disclosed twice"));
            }
            let value = if opening.name.ends_with(".sha256") {
                let digest = <[u8; 32]>::try_from(&opening.value[..])
                    .map_err(|_| fail("不是 32 字节摘要", "it is not a 32-byte digest"))?;
                digests.push((i, opening.name.clone(), Hash32(digest)));
                hex::encode(digest)
            } else {
                String::from_utf8(opening.value.0.clone())
                    .map_err(|_| fail("不是 UTF-8 文本", "it is not UTF-8 text"))?
            };
            disclosures.push(Disclosure { event: i, name: opening.name.clone(), value });
        }
    }
    let mut reports = vec![];
    for document in documents {
        let (event, what_zh, what_en) = document_event(decoded, &digests, document)?;
        let (name, sha256) = (document.name.to_owned(), document.sha256);
        reports.push(DocumentReport { name, sha256, matches: Some(true), event: Some(event), what_zh, what_en });
    }
    let note = Note::new(
        format!("{} 项披露内容、{} 个文件与链上承诺一致", disclosures.len(), reports.len()),
        format!(
            "{} disclosed values and {} files agree with the commitments on the ledger",
            disclosures.len(),
            reports.len()
        ),
    );
    if documents.is_empty() {
        reports = final_files(decoded, &digests);
    }
    Ok(((disclosures, reports), note))
}

/// The final files that the records name, for a reader who holds a copy.
fn final_files(decoded: &Decoded, digests: &[NamedDigest]) -> Vec<DocumentReport> {
    let finals = digests.iter().filter(|(i, n, _)| {
        n == name::DOCUMENT && matches!(decoded.entries[*i].parsed.body().payload, Payload::ContractCompleted(_))
    });
    let report = |(i, _, digest): &NamedDigest| DocumentReport {
        name: String::new(),
        sha256: *digest,
        matches: None,
        event: Some(*i),
        what_zh: "链上登记的最终文件（未提供，其中的签名未校验；可自行比对其 SHA-256）",
        what_en: "the final file on the ledger (not given, its signatures not checked; compare its SHA-256)",
    };
    finals.map(report).collect()
}

/// Puts the disclosed names of key holders in the place of their key subjects.
pub(super) fn name_signers(decoded: &Decoded, events: &mut [Event]) {
    let mut names = BTreeMap::new();
    for (opened, entry) in decoded.entries.iter().zip(&decoded.bundle.entries) {
        let registers = matches!(opened.parsed.body().payload, Payload::KeyRegistered(_));
        let name = entry.openings.iter().find(|o| o.name == name::NAME);
        if let (true, Some(opening), Some(link)) = (registers, name, opened.record.links.first()) {
            names.insert(link.subject.to_string(), String::from_utf8_lossy(&opening.value).into_owned());
        }
    }
    for signer in events.iter_mut().flat_map(|event| &mut event.signers) {
        if let Some(name) = names.get(signer) {
            signer.clone_from(name);
        }
    }
}

fn document_event(
    decoded: &Decoded, digests: &[NamedDigest], document: &GivenDocument<'_>,
) -> Result<(usize, &'static str, &'static str), Failure> {
    let committed = digests.iter().filter(|(_, _, digest)| *digest == document.sha256);
    // A final file is one wherever else it is named, so that no later deposit of it evades the checks.
    let completes = |i: usize| matches!(decoded.entries[i].parsed.body().payload, Payload::ContractCompleted(_));
    let found = committed.map(|(i, ..)| *i).max_by_key(|i| (completes(*i), *i));
    let Some(event) = found else {
        return Err(Failure::new(
            format!("文件“{}”与链上记录的任何文件都不一致（内容被改动，或不是这份合同）", document.name),
            format!("file `{}` is not one that the records commit to (altered, or another file)", document.name),
        ));
    };
    let opened = &decoded.entries[event];
    let words = match &opened.parsed.body().payload {
        Payload::ContractCompleted(completed) => {
            check_signatures(decoded, digests, document, (event, completed.contract))?;
            ("各方签署后的最终文件", "the final file, with every signature that the ledger records")
        }
        Payload::ContractVersionFixed(_) => {
            ("待签文本（尚无签名的版本）", "the version put up for signing (without signatures)")
        }
        _ => ("记录所承诺的文件", "a file that a record commits to"),
    };
    Ok((event, words.0, words.1))
}

/// A completed contract's file is the fixed version with exactly the signatures that its `contract.signed`
/// records name, and nothing else behind it: the platform, which alone completes and may hold the seals' keys,
/// can neither add anything, nor have another text signed, nor complete a file that lacks a signature.
fn check_signatures(
    decoded: &Decoded, digests: &[NamedDigest], document: &GivenDocument<'_>, (completed, contract): (usize, SubjectId),
) -> Result<(), Failure> {
    let file = &document.name;
    let fail = |zh: &str, en: &str| Err(Failure::new(format!("文件“{file}”：{zh}"), format!("file `{file}`: {en}")));
    let disclosed = |event: usize, name: &str| {
        digests.iter().find(|(e, n, _)| *e == event && n == name).map(|(.., digest)| *digest)
    };
    let before = &decoded.entries[..=completed];
    if !all_records_shown(before, contract) {
        return fail(
            "证明没有列出该合同签署完成前的全部记录",
            "the proof does not show every record of the contract up to its completion",
        );
    }
    let mut recorded = vec![];
    let mut version = None;
    for (event, opened) in before.iter().enumerate() {
        match &opened.parsed.body().payload {
            Payload::ContractVersionFixed(fixed) if fixed.contract == contract => {
                version = disclosed(event, name::DOCUMENT);
            }
            Payload::ContractSigned(signed) if signed.contract == contract => {
                let certificate = match signed.seal {
                    None => disclosed(event, name::CERTIFICATE),
                    Some(seal) => {
                        let making = before.iter().position(|opened| is_making_of(opened, seal));
                        making.and_then(|making| disclosed(making, name::CERTIFICATE))
                    }
                };
                let (Some(digest), Some(certificate)) = (disclosed(event, name::TO_BE_SIGNED), certificate) else {
                    return fail(
                        "证明没有披露某一签署的摘要或数字证书",
                        "the proof does not disclose the digest or the certificate of one of the signings",
                    );
                };
                recorded.push(GivenSignature { digest, certificate });
            }
            _ => {}
        }
    }
    if recorded.is_empty() {
        return fail("证明没有该合同的任何签署记录", "the proof has no signing record of the contract");
    }
    let other_version = Note::new(
        "签名前的文本不是链上固定的待签文本",
        "what it was before the signatures is not the version that was fixed on the ledger",
    );
    let found = match (document.signed, version) {
        (Some(signed), Some(version)) => signed.signed_since(&version),
        _ => Err(other_version),
    };
    let found = match found {
        Ok(found) => found,
        Err(Note { zh, en }) => return fail(&zh, &en),
    };
    if let Some(stranger) = found.iter().find(|signature| !recorded.contains(signature)) {
        let digest = stranger.digest;
        return fail(
            &format!("其中有一个签名（摘要 {digest}）的摘要或数字证书与链上登记不符"),
            &format!("the signature with digest {digest} is not on the ledger, or by another certificate"),
        );
    }
    if let Some(missing) = recorded.iter().find(|signature| !found.contains(signature)) {
        let digest = missing.digest;
        return fail(
            &format!("缺少链上登记的签名（摘要 {digest}）"),
            &format!("it lacks the signature with digest {digest} that the ledger records"),
        );
    }
    if found.len() != recorded.len() {
        return fail("其中的签名数目与链上登记的不同", "it has another number of signatures than the ledger records");
    }
    Ok(())
}

/// Are all records of the contract among these, of which the last completes it? Sequences have no gaps.
fn all_records_shown(before: &[Opened], contract: SubjectId) -> bool {
    let sequence =
        |opened: &Opened| opened.record.links.iter().find(|link| link.subject == contract).map(|link| link.sequence);
    let Some(last) = before.last().and_then(sequence) else { return false };
    let shown: BTreeSet<_> = before.iter().filter_map(sequence).collect();
    u64::try_from(shown.len()).is_ok_and(|shown| shown == last + 1)
}
