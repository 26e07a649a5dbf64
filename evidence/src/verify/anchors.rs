//! Steps 10 and 11: what those outside the consortium say. Witnesses saw one history and no other;
//! timestamp authorities saw it at a time.
//!
//! What contradicts the ledger fails the step. What is missing, or comes from somebody whom the verifier
//! has not named, leaves the step unchecked, with the reason.

use super::members::Members;
use super::{AnchorReport, CheckpointReport, Cosigner, Decoded, Failure, Note, TrustInputs};
use crate::checkpoint::{Anchor, Former, SignedCheckpoint, anchored_message, keys_of};
use crate::codec::Bytes;
use crate::genesis::Genesis;
use crate::hash::{Hash32, sha256};
use crate::header::Header;
use crate::history;
use crate::ids::OrgId;
use crate::note::VerifierKey;
use crate::policy::WitnessPolicy;
use crate::timestamp::{self, Roots};
use std::collections::BTreeSet;

/// How far clocks may differ.
const SKEW_MS: u64 = 5 * 60 * 1000;
/// A timestamp is at most this much later than the block that it anchors.
const MAX_DELAY_MS: u64 = 60 * 60 * 1000;

/// A step's outcome when nothing contradicts: does it pass, or why was it not checked?
pub(super) type Outcome<T> = Result<(T, bool, Note), Failure>;

fn fail(zh: impl Into<String>, en: impl Into<String>) -> Failure {
    Failure::new(zh, en)
}

/// Of the head, or of former evidence.
struct Notarised<'a> {
    header: &'a Header,
    note: SignedCheckpoint,
    anchors: &'a [(Bytes, Anchor)],
    /// Former evidence before this.
    former: &'a [Bytes],
}

/// Step 10. Closes: a split view.
pub(super) fn checkpoint(
    decoded: &Decoded, genesis: &Genesis, members: &Members, trust: &TrustInputs<'_>,
) -> Outcome<Option<CheckpointReport>> {
    let policy = trust.witness_policy.map(WitnessPolicy::parse).transpose().map_err(|error| {
        fail(
            format!("您提供的见证策略无效（{error}）"),
            format!("the witness policy that you gave is unusable: {error}"),
        )
    })?;
    if decoded.checkpoint.is_none() {
        let note = Note::new("证明中没有检查点。", "the proof has no checkpoint");
        return Ok((None, false, note));
    }
    let known = Known::collect(genesis, members, policy.as_ref())?;
    let mut cosigners = vec![];
    let mut tree = None;
    for notarised in evidence(decoded, genesis)? {
        cosigners = known.verify(&notarised.note, trust.as_of_ms)?;
        tree = Some(notarised.note.tree);
    }
    let report = tree.map(|tree| CheckpointReport { origin: tree.origin, size: tree.size, root: tree.root, cosigners });
    let Some(report) = report else { return Ok((None, false, Note::new("", ""))) };
    let names: BTreeSet<&str> = report.cosigners.iter().filter_map(|one| one.policy_name.as_deref()).collect();
    let outside: Vec<&str> =
        report.cosigners.iter().filter(|one| one.outside).filter_map(|one| one.policy_name.as_deref()).collect();
    let by_members = report.cosigners.iter().filter(|one| one.member.is_some()).count();
    let (passes, zh, en) = match &policy {
        None => (
            false,
            format!("检查点完好（成员签名 {by_members} 行），但您没有提供见证策略。"),
            format!("the checkpoint is sound ({by_members} lines by members), but you gave no witness policy"),
        ),
        Some(policy) if !policy.is_met(&names) => (
            false,
            "检查点完好，但见证签名不足以满足您的见证策略。".to_owned(),
            "the checkpoint is sound, but its cosignatures do not meet your witness policy".to_owned(),
        ),
        Some(_) if outside.is_empty() => (
            false,
            "满足见证策略的见证人都是联盟成员，没有联盟以外的见证人。".to_owned(),
            "all witnesses that meet the policy are members; none is outside the consortium".to_owned(),
        ),
        Some(_) => (
            true,
            format!("检查点（{} 个区块）由外部见证人联署：{}", report.size, outside.join("、")),
            format!(
                "the checkpoint over {} blocks is cosigned by outside witnesses: {}",
                report.size,
                outside.join(", ")
            ),
        ),
    };
    Ok((Some(report), passes, Note::new(zh, en)))
}

/// The evidence in order of time, the head's last. Everything about it holds but signatures and tokens.
fn evidence<'a>(decoded: &'a Decoded, genesis: &Genesis) -> Result<Vec<Notarised<'a>>, Failure> {
    let chain_id = genesis.chain_id();
    let Some(checkpoint) = &decoded.checkpoint else { return Ok(vec![]) };
    let bad = |what: &str, reason: &dyn std::fmt::Display| {
        fail(format!("{what}：检查点无效（{reason}）"), format!("{what}: the checkpoint does not hold: {reason}"))
    };
    let mut found = vec![];
    for (i, former) in decoded.former.iter().enumerate() {
        let what = format!("former evidence {i}");
        let FormerEvidence { bytes: Former { header: encoded, history_path, note, path, .. }, header, anchors } =
            former;
        let next = decoded.former.get(i + 1).map_or(&decoded.head, |next| &next.header);
        if header.chain_id != chain_id || header.height >= next.height || next.history_size != next.height.0 {
            return Err(bad(&what, &"its block is out of order"));
        }
        let leaf = history::leaf_hash(encoded);
        if history::root_from_path(&leaf, header.height.0, next.history_size, history_path) != Some(next.history_root) {
            return Err(bad(&what, &"its block is not in the history of the next"));
        }
        let note = SignedCheckpoint::of_block(note, &chain_id, encoded, header, path).map_err(|e| bad(&what, &e))?;
        found.push(Notarised { header, note, anchors, former: &checkpoint.former[..i] });
    }
    let head = &decoded.head;
    let note = SignedCheckpoint::of_block(&checkpoint.note, &chain_id, &decoded.bundle.head, head, &checkpoint.path)
        .map_err(|error| bad("head", &error))?;
    found.push(Notarised { header: head, note, anchors: &decoded.anchors, former: &checkpoint.former });
    Ok(found)
}

/// Former evidence with everything decoded.
pub(crate) struct FormerEvidence {
    pub(crate) bytes: Former,
    pub(crate) header: Header,
    pub(crate) anchors: Vec<(Bytes, Anchor)>,
}

/// Keys whose lines are checked.
struct Known {
    /// With the member or the name in the policy.
    keys: Vec<(VerifierKey, Option<OrgId>, Option<String>)>,
    /// Every key of every member.
    of_members: BTreeSet<Hash32>,
}

impl Known {
    fn collect(genesis: &Genesis, members: &Members, policy: Option<&WitnessPolicy>) -> Result<Self, Failure> {
        let mut keys: Vec<(VerifierKey, Option<OrgId>, Option<String>)> = vec![];
        let mut of_members = BTreeSet::new();
        for organisation in members.ever() {
            of_members.extend(organisation.keys().into_iter().map(|(_, key)| key));
            let own = keys_of(&genesis.chain_id(), organisation)
                .map_err(|error| fail(format!("成员密钥无效（{error}）"), error.to_string()))?;
            for key in own {
                if !keys.iter().any(|(known, ..)| *known == key) {
                    keys.push((key, Some(organisation.id.clone()), None));
                }
            }
        }
        for witness in policy.into_iter().flat_map(WitnessPolicy::witnesses) {
            match keys.iter_mut().find(|(known, ..)| *known == witness.key) {
                Some((.., name)) => *name = Some(witness.name.clone()),
                None => keys.push((witness.key.clone(), None, Some(witness.name.clone()))),
            }
        }
        Ok(Self { keys, of_members })
    }

    /// Every line of a known key must hold.
    fn verify(&self, checkpoint: &SignedCheckpoint, as_of_ms: u64) -> Result<Vec<Cosigner>, Failure> {
        let mut found = vec![];
        for line in &checkpoint.note.signatures {
            for (key, member, policy_name) in self.keys.iter().filter(|(key, ..)| key.signed(line)) {
                let Some(time) = key.verify(&checkpoint.note.text, line) else {
                    return Err(fail(
                        format!("检查点上“{}”的签名无效", line.name),
                        format!("the checkpoint's signature by `{}` does not verify", line.name),
                    ));
                };
                let time_ms = time.map(|seconds| seconds.saturating_mul(1000));
                if time_ms.is_some_and(|time| time > as_of_ms.saturating_add(SKEW_MS)) {
                    return Err(fail(
                        format!("“{}”的见证时间在将来", line.name),
                        format!("the cosignature of `{}` is from the future", line.name),
                    ));
                }
                found.push(Cosigner {
                    name: line.name.clone(),
                    key_id: hex::encode(line.id),
                    time_ms,
                    member: member.clone(),
                    policy_name: policy_name.clone(),
                    outside: policy_name.is_some() && !self.of_members.contains(&Hash32(*key.public())),
                });
            }
        }
        Ok(found)
    }
}

/// Step 11. Closes: back-dating, and retired keys that were stolen.
pub(super) fn timestamps(decoded: &Decoded, genesis: &Genesis, trust: &TrustInputs<'_>) -> Outcome<Vec<AnchorReport>> {
    let roots = Roots::parse(trust.tsa_roots).map_err(|error| {
        fail(format!("您提供的时间戳根证书无法读取（{error}）"), format!("the TSA root that you gave: {error}"))
    })?;
    if decoded.checkpoint.is_none() {
        if !decoded.anchors.is_empty() {
            return Err(fail("有时间戳而无检查点", "there is a timestamp, but no checkpoint that it is over"));
        }
        return Ok((vec![], false, Note::new("证明中没有第三方时间戳。", "the proof has no third-party timestamp")));
    }
    let evidence = evidence(decoded, genesis)?;
    let mut reports = vec![];
    // Newest first: each is relied on at the time of what covers it.
    let mut reliance = Some(trust.as_of_ms);
    let mut head_reason = None;
    let last = evidence.len() - 1;
    for (i, notarised) in evidence.iter().enumerate().rev() {
        let imprint = sha256(&[&anchored_message(&notarised.note.note.text, notarised.former)]);
        let mut earliest = None;
        for (n, (_, anchor)) in notarised.anchors.iter().enumerate() {
            let found = timestamp::verify(anchor, &imprint, &roots).map_err(|error| {
                let height = notarised.header.height;
                fail(
                    format!("区块 {height} 的第 {n} 个时间戳：{error}"),
                    format!("timestamp {n} over block {height}: {error}"),
                )
            })?;
            check_time(found.time_ms, notarised.header.time_ms, trust.as_of_ms)?;
            let expired = found.trusted.as_ref().zip(reliance).is_some_and(|(path, at)| path.expires_ms < at);
            let relied_on = found.trusted.is_some() && reliance.is_some() && !expired;
            if relied_on {
                earliest = Some(earliest.map_or(found.time_ms, |other: u64| other.min(found.time_ms)));
            } else if i == last {
                head_reason = Some((expired, found.authority.clone()));
            }
            let (root, unchecked) = match found.trusted {
                Some(path) => (Some(path.root), path.unchecked),
                None => (None, vec![]),
            };
            reports.push(AnchorReport {
                height: notarised.header.height,
                block_time_ms: notarised.header.time_ms,
                tsa_time_ms: found.time_ms,
                accuracy_ms: found.accuracy_ms,
                tsa: found.authority,
                serial: found.serial,
                policy: found.policy,
                root,
                relied_on,
                former: i != last,
                revocation_unchecked: unchecked,
            });
        }
        reliance = earliest;
        if i == last && earliest.is_none() {
            let note = unreliable(notarised.anchors.is_empty(), roots.is_empty(), head_reason.take());
            reports.reverse();
            // Nothing older can be relied on either; it must still hold, which the rest of the loop checks.
            return older_hold(&evidence[..i], &roots, trust).map(|()| (reports, false, note));
        }
    }
    reports.reverse();
    let earliest = reports.iter().filter(|one| one.relied_on).min_by_key(|one| one.tsa_time_ms);
    let (height, tsa) = earliest.map_or((decoded.head.height, String::new()), |one| (one.height, one.tsa.clone()));
    let note = Note::new(
        format!("{tsa} 以时间戳证明：区块 {height} 及其之前的全部历史在该时间戳所记时间已经存在。"),
        format!("{tsa} stamped block {height} and all history before it: it existed at the time in the token"),
    );
    Ok((reports, true, note))
}

/// Former evidence that is not relied on must hold all the same.
fn older_hold(older: &[Notarised<'_>], roots: &Roots, trust: &TrustInputs<'_>) -> Result<(), Failure> {
    for notarised in older {
        let imprint = sha256(&[&anchored_message(&notarised.note.note.text, notarised.former)]);
        for (_, anchor) in notarised.anchors {
            let height = notarised.header.height;
            let found = timestamp::verify(anchor, &imprint, roots).map_err(|error| {
                fail(format!("区块 {height} 的时间戳：{error}"), format!("a timestamp over block {height}: {error}"))
            })?;
            check_time(found.time_ms, notarised.header.time_ms, trust.as_of_ms)?;
        }
    }
    Ok(())
}

fn check_time(tsa_ms: u64, block_ms: u64, as_of_ms: u64) -> Result<(), Failure> {
    if tsa_ms > as_of_ms.saturating_add(SKEW_MS) {
        return Err(fail("时间戳的时间在将来", "the timestamp is from the future"));
    }
    let (from, to) = (block_ms.saturating_sub(SKEW_MS), block_ms.saturating_add(MAX_DELAY_MS));
    if (from..=to).contains(&tsa_ms) {
        return Ok(());
    }
    Err(fail(
        "时间戳的时间与区块时间相差过大（允许早 5 分钟至晚 1 小时）",
        "the timestamp's time is too far from the block's (5 minutes before to 1 hour after are allowed)",
    ))
}

fn unreliable(none: bool, no_root: bool, reason: Option<(bool, String)>) -> Note {
    match reason {
        _ if none => Note::new("检查点上没有第三方时间戳。", "there is no third-party timestamp over the checkpoint"),
        _ if no_root => Note::new(
            "时间戳完好，但您没有提供时间戳机构的根证书。",
            "the timestamp is sound, but you gave no TSA root",
        ),
        Some((true, authority)) => Note::new(
            format!("时间戳机构的数字证书已过期（{authority}）：请续期证明，或以较早的时点校验（--as-of）。"),
            format!("a certificate of {authority} has expired since: renew the proof, or verify as of an earlier time"),
        ),
        Some((false, authority)) => Note::new(
            format!("时间戳由您未信任的机构签发（{authority}）。"),
            format!("the timestamp is by an authority that your roots do not include: {authority}"),
        ),
        None => Note::new("没有可信赖的时间戳。", "no timestamp can be relied on"),
    }
}
