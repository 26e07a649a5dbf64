//! Steps 2–6: from the pinned genesis to "this record is in a block that these organisations finalised".

use super::{Decoded, Failure, Member, Note, TrustInputs, members};
use crate::genesis::Genesis;
use crate::hand_over::{HandOverError, validators_of};
use crate::hash::Hash32;
use crate::history;
use crate::ids::OrgId;
use crate::records_tree;
use crate::validators::ValidatorSet;

/// Step 2. Closes: a substituted ledger.
pub(super) fn genesis(decoded: &Decoded, trust: &TrustInputs<'_>) -> Result<(Genesis, Note), Failure> {
    let genesis = Genesis::open(trust.genesis).map_err(|error| {
        Failure::new(
            format!("您提供的创世文件无效（{error}）"),
            format!("the genesis file that you gave is not valid: {error}"),
        )
    })?;
    if decoded.bundle.genesis.0 != trust.genesis {
        return Err(Failure::new(
            "证明中的创世文件与您提供的不是同一份",
            "the genesis in the proof is not the one that you gave",
        ));
    }
    let chain_id = genesis.chain_id();
    let headers = decoded.entries.iter().map(|e| &e.header).chain([&decoded.head]);
    let hand_overs = decoded.hand_overs.iter().map(|(header, ..)| header);
    let all_headers = headers.chain(hand_overs).all(|header| header.chain_id == chain_id);
    let all_bodies = decoded.entries.iter().all(|e| e.parsed.body().chain_id == chain_id);
    if !all_headers || !all_bodies {
        return Err(Failure::new("有区块头或记录属于另一条链", "a header or record belongs to another ledger"));
    }
    let note = Note::new(
        format!("联盟“{}”，链标识 {chain_id}", genesis.body().name),
        format!("consortium `{}`, chain id {chain_id}", genesis.body().name),
    );
    Ok((genesis, note))
}

/// Step 3. Closes: a forged, skipped or replayed validator set. Gives the set of the head's height.
pub(super) fn hand_overs(decoded: &Decoded, genesis: &Genesis) -> Result<(ValidatorSet, Note), Failure> {
    let chain_id = genesis.chain_id();
    let proven = validators_of(&chain_id, genesis.validators(), &decoded.bundle.hand_overs, &decoded.head);
    let set = proven.map_err(|error| match &error {
        HandOverError::Invalid { number, fault } => {
            Failure::new(format!("第 {number} 次交接无效（{fault}）"), error.to_string())
        }
        HandOverError::OtherSet => {
            Failure::new("首块的验证人集合与交接结果不符（有交接被省略或伪造）", error.to_string())
        }
    })?;
    let note = match decoded.head.epoch {
        0 => Note::new("自创世起验证人集合未变", "the validator set is the genesis' own"),
        n => Note::new(
            format!("共 {n} 次交接，逐次由当时的三分之二以上多数签名"),
            format!("{n} hand-overs, each signed by more than two thirds"),
        ),
    };
    Ok((set, note))
}

/// All organisations of the genesis, for the report.
pub(super) fn members(genesis: &Genesis) -> Vec<Member> {
    genesis.organisations().iter().map(members::member).collect()
}

/// Step 4. Closes: forged votes. Gives the organisations whose validators signed.
pub(super) fn commit(decoded: &Decoded, genesis: &Genesis, set: &ValidatorSet) -> Result<(Vec<Member>, Note), Failure> {
    let organisations =
        decoded.commit.verify(&genesis.chain_id(), decoded.head.height, &decoded.head_id, set).map_err(|error| {
            Failure::new(
                format!("共识确认签名无效（{error}）"),
                format!("the finality signatures do not hold: {error}"),
            )
        })?;
    let finalisers = named(organisations, &members(genesis));
    let note = finality_note(decoded, set, &finalisers);
    Ok((finalisers, note))
}

/// Organisations with their names, where those are known.
pub(super) fn named(organisations: impl IntoIterator<Item = OrgId>, members: &[Member]) -> Vec<Member> {
    let name = |org: OrgId| {
        let known = members.iter().find(|member| member.org == org).cloned();
        known.unwrap_or_else(|| Member { name_zh: org.to_string(), name_en: org.to_string(), org, roles: vec![] })
    };
    organisations.into_iter().map(name).collect()
}

/// Who confirmed the head block.
pub(super) fn finality_note(decoded: &Decoded, set: &ValidatorSet, finalisers: &[Member]) -> Note {
    let height = decoded.head.height;
    let (signed, total) = (decoded.commit.signatures.len(), set.validators().len());
    let zh: Vec<_> = finalisers.iter().map(|f| f.name_zh.as_str()).collect();
    let en: Vec<_> = finalisers.iter().map(|f| f.name_en.as_str()).collect();
    Note::new(
        format!("区块 {height} 由 {total} 个验证人中的 {signed} 个签名确认：{}", zh.join("、")),
        format!("block {height} is signed by {signed} of {total} validators: {}", en.join(", ")),
    )
}

/// Step 5. Closes: a rewritten block.
pub(super) fn history(decoded: &Decoded) -> Result<((), Note), Failure> {
    if decoded.head.history_size != decoded.head.height.0 {
        return Err(Failure::new("首块的历史长度与高度不符", "the head's history size is not its height"));
    }
    for (i, (opened, entry)) in decoded.entries.iter().zip(&decoded.bundle.entries).enumerate() {
        let fail = || {
            Failure::new(
                format!("第 {i} 条记录所在区块不在首块的历史中"),
                format!("the block of record {i} is not in the head block's history"),
            )
        };
        if opened.header.height == decoded.head.height {
            if entry.header != decoded.bundle.head || !entry.history_path.is_empty() {
                return Err(fail());
            }
            continue;
        }
        let leaf = history::leaf_hash(&entry.header);
        let root: Option<Hash32> =
            history::root_from_path(&leaf, opened.header.height.0, decoded.head.history_size, &entry.history_path);
        if root != Some(decoded.head.history_root) {
            return Err(fail());
        }
    }
    let height = decoded.head.height;
    let note = Note::new(
        format!("各记录所在区块均在区块 {height} 所确认的历史之内"),
        format!("every record's block is in the history that block {height} confirms"),
    );
    Ok(((), note))
}

/// Step 6. Closes: a phantom record, a pad or an inner node passed off as a record.
pub(super) fn inclusion(decoded: &Decoded) -> Result<((), Note), Failure> {
    for (i, (opened, entry)) in decoded.entries.iter().zip(&decoded.bundle.entries).enumerate() {
        let header = &opened.header;
        let root = records_tree::root_from_path(
            &opened.bytes_hash,
            opened.record.index,
            header.record_count,
            &entry.records_path,
        );
        if root != Some(header.records_root) {
            return Err(Failure::new(
                format!("第 {i} 条记录不在其区块中（记录、位置或路径被改动）"),
                format!("record {i} is not in its block (record, position or path was altered)"),
            ));
        }
    }
    let note =
        Note::new("每条记录均重新计算到区块的记录根", "every record was recomputed up to its block's records root");
    Ok(((), note))
}
