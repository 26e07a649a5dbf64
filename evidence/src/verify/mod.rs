//! Verification of a proof bundle, in eleven numbered steps.
//!
//! Every step closes a named attack (see `docs/SPEC.md`). The first step that fails ends the
//! verification: later ones are reported as not checked, because they would stand on sand. Steps 10
//! (outside witnesses) and 11 (timestamps) can pass only with a witness policy and a TSA root that the
//! verifier gave; without them the best verdict is `VALID-UNANCHORED`.

mod anchors;
mod content;
mod finality;
pub mod history;
mod members;
mod report;

pub use report::*;

use crate::bundle::{Bundle, MAX_ENTRIES};
use crate::checkpoint::{Anchor, Checkpoint, Former, MAX_ANCHORS, MAX_FORMER, MAX_KEPT};
use crate::codec::{Bytes, decode_strict};
use crate::commit::CommitCertificate;

use crate::hash::Hash32;
use crate::header::Header;
use crate::record::Record;
use crate::state_proof::SubjectHead;
use crate::submission::Parsed;
use crate::validators::ValidatorSet;

/// A file whose digest the bundle should know.
#[derive(Clone, Copy)]
pub struct GivenDocument<'a> {
    /// Its name, for the report.
    pub name: &'a str,
    /// SHA-256 of the whole file.
    pub sha256: Hash32,
    /// The file as a signed PDF, if it is one.
    pub signed: Option<&'a dyn SignedFile>,
}

impl std::fmt::Debug for GivenDocument<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenDocument").field("name", &self.name).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

/// A PDF that was signed after it had been fixed as a version. Reading PDFs is not this crate's.
pub trait SignedFile {
    /// The PDF signatures that came behind the version with this SHA-256, document timestamps apart; each holds,
    /// and behind the version stand only updates that sign, and behind the last signature only validation data
    /// and timestamps (`docs/SPEC.md` §11a).
    ///
    /// # Errors
    /// When the file did not begin as that version, or something else stands behind it: what, for people.
    fn signed_since(&self, version: &Hash32) -> Result<Vec<GivenSignature>, Note>;
}

/// A PDF signature in a given file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenSignature {
    /// SHA-256 over its ByteRange.
    pub digest: Hash32,
    /// SHA-256 of the signer's X.509 certificate (DER).
    pub certificate: Hash32,
}

/// What the verifier trusts and asks; never taken from the bundle.
#[derive(Clone, Debug)]
pub struct TrustInputs<'a> {
    /// The pinned genesis document.
    pub genesis: &'a [u8],
    /// The time of this verification, milliseconds since 1970-01-01T00:00Z.
    pub as_of_ms: u64,
    /// Oldest acceptable head block, in milliseconds before `as_of_ms`; absent: any age, printed.
    pub max_age_ms: Option<u64>,
    /// Which outside witnesses are trusted: the bytes of a policy file ([`crate::policy`]).
    pub witness_policy: Option<&'a [u8]>,
    /// Roots of timestamp authorities: one certificate in DER, or several in PEM; empty: none.
    pub tsa_roots: &'a [u8],
}

impl<'a> TrustInputs<'a> {
    /// Any age, no witnesses, no timestamp authorities.
    pub fn new(genesis: &'a [u8], as_of_ms: u64) -> Self {
        Self { genesis, as_of_ms, max_age_ms: None, witness_policy: None, tsa_roots: &[] }
    }

    /// The same, refusing a head that is older.
    #[must_use]
    pub fn with_max_age(self, max_age_ms: Option<u64>) -> Self {
        Self { max_age_ms, ..self }
    }
}

/// Why a step failed.
#[derive(Debug)]
pub(crate) struct Failure {
    zh: String,
    en: String,
}

impl Failure {
    fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { zh: zh.into(), en: en.into() }
    }
}

/// A proven record with everything decoded.
pub(crate) struct Opened {
    pub(crate) bytes_hash: Hash32,
    pub(crate) record: Record,
    pub(crate) parsed: Parsed,
    pub(crate) header: Header,
}

/// A bundle with all members decoded (step 1).
pub(crate) struct Decoded {
    pub(crate) bundle: Bundle,
    pub(crate) head: Header,
    pub(crate) head_id: Hash32,
    pub(crate) commit: CommitCertificate,
    pub(crate) hand_overs: Vec<(Header, CommitCertificate, ValidatorSet)>,
    pub(crate) entries: Vec<Opened>,
    pub(crate) checkpoint: Option<Checkpoint>,
    pub(crate) former: Vec<anchors::FormerEvidence>,
    pub(crate) anchors: Vec<(Bytes, Anchor)>,
    /// Heads of the subjects in the state proofs, in their order; nothing for one that does not exist.
    pub(crate) heads: Vec<Option<SubjectHead>>,
}

const TITLES: [(&str, &str); 11] = [
    ("格式严格解码", "strict decoding"),
    ("创世文件与链标识", "genesis and chain id"),
    ("验证人集合交接", "validator set hand-overs"),
    ("多方共识确认签名", "finality signatures"),
    ("区块历史", "block history"),
    ("记录在区块内的位置", "record inclusion"),
    ("记录内的签名", "signatures inside the records"),
    ("当前状态（其后有无变更）", "current state (anything later?)"),
    ("披露内容与文件摘要", "disclosed values and documents"),
    ("检查点与外部见证", "checkpoint and outside witnesses"),
    ("第三方时间戳", "third-party timestamps"),
];

/// Verifies `bundle` against the trust inputs and, if given, files that it should be about.
pub fn verify(bundle: &[u8], trust: &TrustInputs<'_>, documents: &[GivenDocument<'_>]) -> Report {
    let mut run = Run { report: empty_report(), failed: false };
    run.report.verified_at_ms = Some(trust.as_of_ms);
    run.all(bundle, trust, documents);
    run.finish()
}

/// The report of an input that never reached a bundle (no proof found, file unreadable): step 1 fails.
pub fn unreadable(zh: impl Into<String>, en: impl Into<String>) -> Report {
    let mut run = Run { report: empty_report(), failed: false };
    let _ = run.step::<()>(1, Err(Failure::new(zh, en)));
    run.finish()
}

fn empty_report() -> Report {
    let steps = TITLES.iter().zip(1u8..).map(|((title_zh, title_en), n)| Step {
        n,
        title_zh,
        title_en,
        status: StepStatus::NotChecked,
        detail_zh: String::new(),
        detail_en: String::new(),
    });
    Report {
        verdict: Verdict::Invalid,
        chain_id: None,
        chain_name: None,
        head: None,
        organisations: vec![],
        finalised_by: vec![],
        steps: steps.collect(),
        events: vec![],
        subjects: vec![],
        disclosures: vec![],
        documents: vec![],
        certificates: vec![],
        checkpoint: None,
        anchors: vec![],
        verified_at_ms: None,
        not_checked: vec![],
        assumptions: vec![],
    }
}

struct Run {
    report: Report,
    failed: bool,
}

impl Run {
    /// Notes the outcome of step `n` and hands on its result, or nothing after a failure.
    fn step<T>(&mut self, n: u8, outcome: Result<(T, Note), Failure>) -> Option<T> {
        let step = &mut self.report.steps[usize::from(n) - 1];
        match outcome {
            Ok((value, Note { zh, en })) => {
                (step.status, step.detail_zh, step.detail_en) = (StepStatus::Pass, zh, en);
                Some(value)
            }
            Err(Failure { zh, en }) => {
                (step.status, step.detail_zh, step.detail_en) = (StepStatus::Fail, zh, en);
                self.failed = true;
                None
            }
        }
    }

    fn all(&mut self, bytes: &[u8], trust: &TrustInputs<'_>, documents: &[GivenDocument<'_>]) -> Option<()> {
        let decoded = self.step(1, decode(bytes))?;
        let genesis = self.step(2, finality::genesis(&decoded, trust))?;
        self.report.chain_id = Some(genesis.chain_id());
        self.report.chain_name = Some(genesis.body().name.clone());
        self.report.organisations = finality::members(&genesis);
        let set = self.step(3, finality::hand_overs(&decoded, &genesis))?;
        self.report.finalised_by = self.step(4, finality::commit(&decoded, &genesis, &set))?;
        self.report.head =
            Some(Head { height: decoded.head.height, time_ms: decoded.head.time_ms, block_id: decoded.head_id });
        self.step(5, finality::history(&decoded))?;
        self.step(6, finality::inclusion(&decoded))?;
        let members = match members::Members::collect(&decoded, &genesis) {
            Ok(members) => members,
            Err(failure) => return self.step(7, Err(failure)),
        };
        let (events, certificates) = self.step(7, content::signatures(&decoded, &genesis, &members))?;
        if members.changed() {
            self.name_members(&decoded, &set, &members);
        }
        self.report.events = events;
        self.report.certificates = certificates;
        self.report.subjects = self.step(8, content::states(&decoded, trust))?;
        self.report.not_checked.extend(content::open_ends(&decoded, &self.report.subjects));
        if decoded.bundle.states.is_empty() {
            self.report.steps[7].status = StepStatus::NotChecked;
        }
        let (disclosures, documents) = self.step(9, content::disclosures(&decoded, documents))?;
        content::name_signers(&decoded, &mut self.report.events);
        self.report.disclosures = disclosures;
        self.report.documents = documents;
        self.report.checkpoint = self.outer_step(10, anchors::checkpoint(&decoded, &genesis, &members, trust))?;
        self.report.anchors = self.outer_step(11, anchors::timestamps(&decoded, &genesis, trust))?;
        Some(())
    }

    /// A step that depends on what those outside say: it passes, or it is not checked for a reason, or it fails.
    fn outer_step<T>(&mut self, n: u8, outcome: anchors::Outcome<T>) -> Option<T> {
        let (outcome, passes) = match outcome {
            Ok((value, passes, note)) => (Ok((value, note)), passes),
            Err(failure) => (Err(failure), true),
        };
        let value = self.step(n, outcome)?;
        if !passes {
            self.report.steps[usize::from(n) - 1].status = StepStatus::NotChecked;
        }
        Some(value)
    }

    /// Names of those who became members after the genesis are known once the records that say so are proven.
    fn name_members(&mut self, decoded: &Decoded, set: &ValidatorSet, members: &members::Members) {
        self.report.organisations = members.report();
        let finalisers = self.report.finalised_by.iter().map(|member| member.org.clone());
        self.report.finalised_by = finality::named(finalisers, &self.report.organisations);
        let Note { zh, en } = finality::finality_note(decoded, set, &self.report.finalised_by);
        (self.report.steps[3].detail_zh, self.report.steps[3].detail_en) = (zh, en);
        self.report.assumptions.push(Note::new(
            "成员的密钥与角色依创世文件及本证明所列的治理记录；其间有无本证明未列的变更，由各成员共识执行规则时把关（旧密钥与已移除的成员不能提交）。",
            "Keys and roles of members are those of the genesis and of the governance records shown here; that no other change came between was for the members to enforce, whose rules accept neither a replaced key nor a removed member.",
        ));
    }

    /// What nobody outside says, in plain words.
    fn name_missing_anchors(&mut self, witnessed: bool, stamped: bool) {
        let detail = |n: usize| (self.report.steps[n].detail_zh.clone(), self.report.steps[n].detail_en.clone());
        let ((zh_10, en_10), (zh_11, en_11)) = (detail(9), detail(10));
        if !witnessed {
            self.report.not_checked.push(Note::new(
                format!("外部见证未校验：{zh_10}若三分之二以上成员合谋，可对不同的人出示不同的历史。"),
                format!("No witness outside the consortium was checked ({en_10}): members holding more than two thirds of the power could, acting together, show different histories to different people."),
            ));
        }
        if !stamped {
            self.report.not_checked.push(Note::new(
                format!("第三方时间戳未校验：{zh_11}时间为各成员共识确认的区块时间。"),
                format!("No third-party timestamp was checked ({en_11}): times are block times agreed by the members."),
            ));
        }
        let relied_on = self.report.anchors.iter().filter(|anchor| anchor.relied_on);
        let unchecked: Vec<String> = relied_on.flat_map(|anchor| anchor.revocation_unchecked.clone()).collect();
        if !unchecked.is_empty() {
            let names = unchecked.join("; ");
            self.report.not_checked.push(Note::new(
                format!("时间戳机构的数字证书是否曾被吊销（证明中没有相应的吊销列表）：{names}"),
                format!(
                    "Whether a certificate of the timestamp authority was revoked; the proof keeps no list for: {names}"
                ),
            ));
        }
        if witnessed {
            self.report.assumptions.push(Note::new(
                "您的见证策略所列的外部见证人没有与联盟成员合谋。",
                "The outside witnesses of your policy do not collude with the members.",
            ));
        }
        if stamped {
            self.report.assumptions.push(Note::new(
                "您信任的时间戳机构如实记时。",
                "The timestamp authority that you trust keeps time truthfully.",
            ));
        }
    }

    fn finish(mut self) -> Report {
        if self.failed {
            return self.report;
        }
        let [.., witnessed, stamped] = &self.report.steps[..] else { return self.report };
        let (witnessed, stamped) = (witnessed.status == StepStatus::Pass, stamped.status == StepStatus::Pass);
        self.report.verdict = if witnessed && stamped { Verdict::Valid } else { Verdict::ValidUnanchored };
        self.name_missing_anchors(witnessed, stamped);
        self.report.not_checked.extend([
            Note::new(
                "PDF 各签名之间后加的内容（如印章外观）是否改变了先前内容的显示，由 PDF 阅读器判断。",
                "Whether what later PDF revisions add (such as the look of seals) changes how earlier content is shown: a PDF reader's business.",
            ),
            Note::new(
                "数字证书的签发机构是否可信、证书是否曾被吊销。",
                "Whether the issuers of X.509 certificates are to be trusted, and whether a certificate was revoked.",
            ),
        ]);
        if self.report.documents.iter().all(|document| document.matches.is_none()) {
            self.report.not_checked.push(Note::new(
                "未提供合同文件：文件内容未与记录比对。",
                "No contract file was given: no file was compared with the records.",
            ));
        }
        self.report.assumptions.extend([
            Note::new(
                "您从可信渠道取得的创世文件就是该联盟的创世文件。",
                "The genesis file that you were given through a channel you trust is the consortium's.",
            ),
            Note::new(
                "至多不到三分之一的成员作恶；SHA-256、BLAKE3、Ed25519 与 ECDSA 未被攻破。",
                "Less than one third of the members' power is dishonest; SHA-256, BLAKE3, Ed25519 and ECDSA are not broken.",
            ),
            Note::new(
                "登记密钥时，认证机构对持有人身份的核验属实。",
                "The attestor of each key checked the holder's identity truthfully.",
            ),
        ]);
        self.report
    }
}

type Anchors = Vec<(Bytes, Anchor)>;

/// Members 8 and 9 of a bundle.
fn decode_anchors(bundle: &Bundle) -> Result<(Option<Checkpoint>, Vec<anchors::FormerEvidence>, Anchors), Failure> {
    let bad = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(format!("{what}：格式不合规（{error}）"), format!("{what}: {error}"))
    };
    let anchors = |what: &str, given: &[Bytes]| -> Result<Anchors, Failure> {
        if given.len() > MAX_ANCHORS {
            return Err(bad(what, &"too many anchors"));
        }
        let one = |bytes: &Bytes| {
            let anchor: Anchor = decode_strict(bytes).map_err(|e| bad(what, &e))?;
            if [&anchor.certificates, &anchor.revocations, &anchor.ocsp].iter().any(|kept| kept.len() > MAX_KEPT) {
                return Err(bad(what, &"it keeps too many certificates, lists or answers"));
            }
            Ok((bytes.clone(), anchor))
        };
        given.iter().map(one).collect()
    };
    let checkpoint: Option<Checkpoint> =
        bundle.checkpoint.as_ref().map(|bytes| decode_strict(bytes)).transpose().map_err(|e| bad("checkpoint", &e))?;
    let mut former = vec![];
    for (i, bytes) in checkpoint.iter().flat_map(|checkpoint| &checkpoint.former).enumerate() {
        let what = format!("former evidence {i}");
        if i == MAX_FORMER {
            return Err(bad(&what, &"too much of it"));
        }
        let found: Former = decode_strict(bytes).map_err(|e| bad(&what, &e))?;
        if found.anchors.is_empty() {
            return Err(bad(&what, &"it has no anchor"));
        }
        let header = decode_strict(&found.header).map_err(|e| bad(&what, &e))?;
        let anchors = anchors(&what, &found.anchors)?;
        former.push(anchors::FormerEvidence { bytes: found, header, anchors });
    }
    Ok((checkpoint, former, anchors("anchor", &bundle.anchors)?))
}

fn decode(bytes: &[u8]) -> Result<(Decoded, Note), Failure> {
    let bad = |what: &str, error: &dyn std::fmt::Display| {
        Failure::new(format!("{what}：格式不合规（{error}）"), format!("{what}: {error}"))
    };
    let bundle: Bundle = decode_strict(bytes).map_err(|e| bad("proof", &e))?;
    if bundle.entries.len() > MAX_ENTRIES {
        return Err(Failure::new("证明中的记录过多", "the bundle has too many records"));
    }
    if bundle.entries.is_empty() && bundle.states.is_empty() {
        return Err(Failure::new("证明中既无记录也无状态", "the bundle has neither record nor state"));
    }
    let head: Header = decode_strict(&bundle.head).map_err(|e| bad("head header", &e))?;
    let commit: CommitCertificate = decode_strict(&bundle.commit).map_err(|e| bad("commit certificate", &e))?;
    let mut hand_overs = vec![];
    for (i, hand_over) in bundle.hand_overs.iter().enumerate() {
        let what = format!("hand-over {i}");
        hand_overs.push((
            decode_strict(&hand_over.header).map_err(|e| bad(&what, &e))?,
            decode_strict(&hand_over.commit).map_err(|e| bad(&what, &e))?,
            decode_strict(&hand_over.next).map_err(|e| bad(&what, &e))?,
        ));
    }
    let mut entries: Vec<Opened> = vec![];
    for (i, entry) in bundle.entries.iter().enumerate() {
        let what = format!("record {i}");
        let record: Record = decode_strict(&entry.record).map_err(|e| bad(&what, &e))?;
        let parsed = Parsed::without_relay_check(&record.submission).map_err(|e| bad(&what, &e))?;
        let header: Header = decode_strict(&entry.header).map_err(|e| bad(&what, &e))?;
        let bytes_hash = crate::records_tree::record_hash(&entry.record);
        if entries.last().is_some_and(|last| (last.record.height, last.record.index) >= (record.height, record.index)) {
            return Err(bad(&what, &"records are not in ascending order"));
        }
        entries.push(Opened { bytes_hash, record, parsed, header });
    }
    let heads = bundle.states.iter().map(|proof| proof.head.as_deref().map(decode_strict).transpose());
    let heads: Vec<Option<SubjectHead>> = heads.collect::<Result<_, _>>().map_err(|e| bad("state", &e))?;
    let head_id = crate::header::block_id(&bundle.head);
    let note = Note::new(
        format!("共 {} 条记录，全部为唯一规范编码", entries.len()),
        format!("{} records, all in their one canonical encoding", entries.len()),
    );
    let (checkpoint, former, anchors) = decode_anchors(&bundle)?;
    Ok((Decoded { bundle, head, head_id, commit, hand_overs, entries, heads, checkpoint, former, anchors }, note))
}
