//! The gateway's view of a contract: what it may be asked in which state, and how final records move it.
//!
//! Its state changes by final records of the ledger only ([`Contract::apply`]); a request is answered
//! with an operation and changes nothing yet ([`Contract::admit`]).

use crate::refusal::{Refusal, text};
use caption::Extent;
use qz_evidence::payload::{ContractOpened, FulfilmentStep, GroupRule, Slot as LedgerSlot, SlotKind};
use qz_evidence::{Hash32, SubjectId};
use serde::{Deserialize, Serialize};
use straddle::{Slice, Straddle};

/// Most slots of a contract.
pub const MAX_SLOTS: usize = 32;
/// 甲方, 乙方, 丙方, 丁方, other.
const ROLES: [u8; 5] = [1, 2, 3, 4, 9];

/// Where a contract stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its opening is not on the ledger yet.
    Opening,
    /// Opened, no version fixed.
    Opened,
    /// A version is up for signing.
    Signing,
    /// All needed slots are signed.
    Signed,
    /// Completed with its final file.
    Completed,
    /// A signer declined.
    Declined,
    /// Its opening was refused by the ledger or expired.
    Failed,
    /// Terminated 解除, by all parties or a ruling.
    Terminated,
    /// Voided 作废, by all parties or a ruling.
    Voided,
    /// Before a court or arbitration body.
    Disputed,
}

impl Status {
    const ALL: [Self; 10] = [
        Self::Opening,
        Self::Opened,
        Self::Signing,
        Self::Signed,
        Self::Completed,
        Self::Declined,
        Self::Failed,
        Self::Terminated,
        Self::Voided,
        Self::Disputed,
    ];

    /// The name in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "pending",
            Self::Opened => "opened",
            Self::Signing => "signing",
            Self::Signed => "signed",
            Self::Completed => "completed",
            Self::Declined => "declined",
            Self::Failed => "rejected",
            Self::Terminated => "terminated",
            Self::Voided => "voided",
            Self::Disputed => "disputed",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// In Chinese and English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Opening => ("等待发起上链", "waiting for its opening to be recorded"),
            Self::Opened => ("已发起", "opened"),
            Self::Signing => ("签署中", "being signed"),
            Self::Signed => ("各方已签", "signed by all"),
            Self::Completed => ("已完成", "completed"),
            Self::Declined => ("已拒签", "declined"),
            Self::Failed => ("发起失败", "not opened"),
            Self::Terminated => ("已解除", "terminated"),
            Self::Voided => ("已作废", "voided"),
            Self::Disputed => ("争议中", "in dispute"),
        }
    }

    /// Did others move the contract here, so that the course of signing says nothing about it any more?
    fn is_overtaken(self) -> bool {
        matches!(self, Self::Terminated | Self::Voided | Self::Disputed)
    }
}

/// Where a seal or signature appears.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Page, from 1.
    pub page: usize,
    /// Middle of the imprint, from the left edge of the page as displayed.
    pub x_mm: f64,
    /// Middle of the imprint, from the lower edge.
    pub y_mm: f64,
}

/// A size in millimetres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// Width.
    pub width_mm: f64,
    /// Height.
    pub height_mm: f64,
}

/// Size of a date stamp.
pub const DATE_STAMP: Size = Size { width_mm: 46.0, height_mm: 9.0 };

/// A place that somebody must sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slot {
    /// Role: 1 甲方, 2 乙方, 3 丙方, 4 丁方, 9 other.
    pub role: u8,
    /// Key or seal.
    pub kind: SlotKind,
    /// The key subject or seal subject.
    pub subject: SubjectId,
    /// Order group.
    pub group: u8,
    /// Where it appears.
    pub field: Field,
    /// The cross-page seal 骑缝章 that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub straddle: Option<Straddle>,
    /// Where the date of signing is stamped 日期章.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<Field>,
    /// Does a caption below the imprint say who signed and when?
    #[serde(default)]
    pub caption: bool,
    /// The record that signed it.
    #[serde(default)]
    pub signed: Option<SignedSlot>,
}

/// How a slot was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedSlot {
    /// The operation.
    pub operation: String,
    /// The record.
    pub record: Hash32,
    /// Is the signature in the PDF already?
    pub in_document: bool,
}

/// How many of a group's slots are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The order group.
    pub group: u8,
    /// Signatures needed.
    pub required: u8,
}

/// In Chinese: 甲方 and so on.
pub fn role_words(role: u8) -> &'static str {
    match role {
        1 => "甲方",
        2 => "乙方",
        3 => "丙方",
        4 => "丁方",
        _ => "其他签署方",
    }
}

/// A contract as the gateway knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Its subject on the ledger.
    pub subject: SubjectId,
    /// Where it stands.
    pub status: Status,
    /// The initiator's key.
    pub initiator: SubjectId,
    /// The slots.
    pub slots: Vec<Slot>,
    /// n-of-m rules, groups ascending.
    pub rules: Vec<Rule>,
    /// Version up for signing; 0 before the first.
    pub version: u32,
    /// Its commitment.
    pub version_commitment: Option<Hash32>,
}

/// What a contract may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Fix the document as the next version.
    FixVersion,
    /// Prepare a signature of this slot.
    Sign {
        /// Index of the slot.
        slot: u8,
    },
    /// Decline to sign this slot.
    Decline {
        /// Index of the slot.
        slot: u8,
    },
    /// Let an amendment take effect.
    Amend,
    /// Record a step of fulfilment.
    Fulfil,
    /// Issue a signing certificate.
    Certify,
    /// Bring it before a court or arbitration body.
    Dispute,
}

/// What a final record, or the refusal of the opening, does to a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `contract.opened` is recorded.
    Opened,
    /// `contract.opened` was refused or nobody signed it in time.
    NotOpened,
    /// `contract.version_fixed` is recorded.
    VersionFixed {
        /// The version.
        version: u32,
        /// Its commitment.
        commitment: Hash32,
    },
    /// `contract.signed` is recorded.
    Signed {
        /// Index of the slot.
        slot: u8,
        /// The operation that did it.
        operation: String,
        /// The record.
        record: Hash32,
    },
    /// `contract.declined` is recorded.
    Declined,
    /// `contract.completed` is recorded.
    Completed,
}

impl Contract {
    /// May this be asked now?
    ///
    /// # Errors
    /// When the state does not admit the request.
    pub fn admit(&self, request: Request) -> Result<(), Refusal> {
        match (self.status, request) {
            (Status::Opened, Request::FixVersion) => Ok(()),
            (Status::Signing, Request::FixVersion) if self.slots.iter().all(|slot| slot.signed.is_none()) => Ok(()),
            (Status::Signing, Request::FixVersion) => Err(Refusal::state(
                "contract.partly_signed",
                "已有人签署，不能再固定新的文本",
                "somebody has signed already; the version can no longer change",
            )),
            (Status::Signing, Request::Sign { slot }) => self.admit_signature(slot),
            (Status::Signing, Request::Decline { slot }) => self.unsigned_slot(slot).map(drop),
            (Status::Completed, Request::Amend | Request::Fulfil | Request::Certify) => Ok(()),
            // Performance goes on in a dispute; whether there was something to perform is the ledger's to say.
            (Status::Disputed, Request::Fulfil | Request::Certify) => Ok(()),
            (Status::Terminated, Request::Certify) => Ok(()),
            // From a dispute: only if its forum is no longer one, which the ledger knows.
            (
                Status::Signed | Status::Completed | Status::Terminated | Status::Voided | Status::Disputed,
                Request::Dispute,
            ) => Ok(()),
            (status, _) => {
                let (zh, en) = status.words();
                Err(Refusal::state(
                    "contract.state",
                    format!("合同当前状态为“{zh}”，不能进行此操作"),
                    format!("the contract is {en}; this is not possible now"),
                ))
            }
        }
    }

    /// The state after a final record. Records may come in another order than the ledger's, so what
    /// was recorded before a refusal is accepted after it; the contract stays declined.
    ///
    /// # Errors
    /// When the record contradicts the state: the gateway missed something.
    pub fn apply(mut self, event: Event) -> Result<Self, Refusal> {
        match (self.status, event) {
            (Status::Opening | Status::Failed, Event::Opened) => self.status = Status::Opened,
            (Status::Opening, Event::NotOpened) => self.status = Status::Failed,
            (
                status @ (Status::Opened
                | Status::Signing
                | Status::Declined
                | Status::Terminated
                | Status::Voided
                | Status::Disputed),
                Event::VersionFixed { version, commitment },
            ) => {
                let stays = status == Status::Declined || status.is_overtaken();
                self.status = if stays { status } else { Status::Signing };
                self.version = version;
                self.version_commitment = Some(commitment);
            }
            (
                Status::Signing | Status::Declined | Status::Terminated | Status::Voided | Status::Disputed,
                Event::Signed { slot, operation, record },
            ) => {
                let place = self.slots.get_mut(usize::from(slot)).ok_or_else(|| no_slot(slot))?;
                place.signed = Some(SignedSlot { operation, record, in_document: false });
                if self.status == Status::Signing && self.is_fully_signed() {
                    self.status = Status::Signed;
                }
            }
            (Status::Signing, Event::Declined) => self.status = Status::Declined,
            (Status::Signed, Event::Completed) => self.status = Status::Completed,
            // What was recorded before others moved it may be heard of after that.
            (status, Event::Declined | Event::Completed) if status.is_overtaken() => {}
            (status, event) => {
                return Err(Refusal::state(
                    "contract.diverged",
                    format!("链上记录与合同状态“{}”不符", status.words().0),
                    format!("a record ({event:?}) does not fit the contract's state {status:?}"),
                ));
            }
        }
        Ok(self)
    }

    /// The state after looking where the ledger has it. The course of signing is told by our own
    /// operations ([`Self::apply`]), which may be a little behind; what others do, ends and disputes and
    /// the way back from a dispute, only by this.
    #[must_use]
    pub fn follow(mut self, ledger: Status) -> Self {
        if ledger.is_overtaken() || self.status.is_overtaken() {
            self.status = ledger;
        }
        self
    }

    /// Has every group the signatures that it needs?
    pub fn is_fully_signed(&self) -> bool {
        self.slots.iter().all(|slot| self.is_satisfied(slot.group))
    }

    /// Is every signature that is on the ledger also in the PDF?
    pub fn document_is_current(&self) -> bool {
        self.slots.iter().filter_map(|slot| slot.signed.as_ref()).all(|signed| signed.in_document)
    }

    /// The slot of this index.
    ///
    /// # Errors
    /// When there is none.
    pub fn slot(&self, index: u8) -> Result<&Slot, Refusal> {
        self.slots.get(usize::from(index)).ok_or_else(|| no_slot(index))
    }

    fn unsigned_slot(&self, index: u8) -> Result<&Slot, Refusal> {
        let slot = self.slot(index)?;
        if slot.signed.is_some() {
            return Err(Refusal::state("slot.signed", "该签署位已签署", "this slot is signed already"));
        }
        Ok(slot)
    }

    fn admit_signature(&self, index: u8) -> Result<(), Refusal> {
        let group = self.unsigned_slot(index)?.group;
        let waiting = self.slots.iter().map(|slot| slot.group).filter(|g| *g < group && !self.is_satisfied(*g)).min();
        match waiting {
            None => Ok(()),
            Some(before) => Err(Refusal::state(
                "slot.order",
                format!("第 {before} 顺序组尚未签完，未轮到该签署位"),
                format!("group {before} has to sign before this slot"),
            )),
        }
    }

    fn is_satisfied(&self, group: u8) -> bool {
        let members = self.slots.iter().filter(|slot| slot.group == group);
        let signed = members.clone().filter(|slot| slot.signed.is_some()).count();
        let rule = self.rules.iter().find(|rule| rule.group == group);
        signed >= rule.map_or(members.count(), |rule| usize::from(rule.required))
    }
}

fn no_slot(index: u8) -> Refusal {
    Refusal::missing("slot.unknown", format!("没有第 {index} 个签署位"), format!("there is no slot {index}"))
}

/// Checks the plan of a contract and gives the ledger's fields.
///
/// # Errors
/// When the ledger would refuse it, or a field lies outside its page.
pub fn plan(
    initiator: SubjectId, slots: &[Slot], rules: &[Rule], amends: Option<SubjectId>, pages: &[Size],
    imprint: impl Fn(&Slot) -> Size,
) -> Result<ContractOpened, Refusal> {
    if !(1..=MAX_SLOTS).contains(&slots.len()) {
        return Err(Refusal::invalid("slots.count", "签署位须为 1–32 个", "a contract has 1 to 32 slots"));
    }
    for (index, slot) in slots.iter().enumerate() {
        if !ROLES.contains(&slot.role) {
            return Err(Refusal::invalid("slot.role", "签署方角色须为 1、2、3、4 或 9", "a role is 1, 2, 3, 4 or 9"));
        }
        if slots[..index].iter().any(|other| other.subject == slot.subject) {
            return Err(Refusal::invalid(
                "slot.repeated",
                "同一密钥或印章不能占两个签署位",
                "a key or seal cannot fill two slots",
            ));
        }
        check_field(index, &slot.field, pages, Extent::of(imprint(slot), slot.caption))?;
        slices(slots, index, pages, imprint(slot))?;
        if let Some(date) = &slot.date {
            check_field(index, date, pages, Extent::of(DATE_STAMP, false))?;
        }
    }
    for (index, rule) in rules.iter().enumerate() {
        let members = slots.iter().filter(|slot| slot.group == rule.group).count();
        let ascending = index == 0 || rules[index - 1].group < rule.group;
        if !ascending || !(1..=members).contains(&usize::from(rule.required)) {
            return Err(Refusal::invalid(
                "rules.invalid",
                "签署规则须按顺序组升序排列，且所需签署数不超过该组签署位数",
                "rules must be ascending by group and need no more signatures than the group has slots",
            ));
        }
    }
    let ledger =
        |slot: &Slot| LedgerSlot { kind: slot.kind, subject: slot.subject, role: slot.role, group: slot.group };
    Ok(ContractOpened {
        initiator,
        slots: slots.iter().map(ledger).collect(),
        rules: rules.iter().map(|rule| GroupRule { group: rule.group, required: rule.required }).collect(),
        amends,
    })
}

/// The slices of a slot's cross-page seal, if it has one. Where the request does not say how high, the seals
/// of the parties share the edge evenly, the first one uppermost.
///
/// # Errors
/// When the document has too few pages for it, or a slice would leave its page.
pub fn slices(slots: &[Slot], index: usize, pages: &[Size], imprint: Size) -> Result<Option<Vec<Slice>>, Refusal> {
    let Some(straddle) = slots.get(index).and_then(|slot| slot.straddle) else { return Ok(None) };
    let straddling = |slots: &[Slot]| slots.iter().filter(|slot| slot.straddle.is_some()).count();
    let after = straddling(&slots[index..]);
    let share = after as f64 / (straddling(slots) + 1) as f64;
    straddle.slices(pages, imprint, share).map(Some)
}

/// May a slot have a caption: is there room for it below the imprint?
pub fn has_room_for_caption(field: &Field, pages: &[Size], imprint: Size) -> bool {
    let page = field.page.checked_sub(1).and_then(|page| pages.get(page));
    page.is_some_and(|page| Extent::of(imprint, true).lies_on(*page, (field.x_mm, field.y_mm)))
}

fn check_field(index: usize, field: &Field, pages: &[Size], extent: Extent) -> Result<(), Refusal> {
    let Some(page) = field.page.checked_sub(1).and_then(|page| pages.get(page)) else {
        return Err(Refusal::invalid(
            "field.page",
            format!("签署位 {index} 指向第 {} 页，文件只有 {} 页", field.page, pages.len()),
            format!("slot {index} is on page {}, the document has {}", field.page, pages.len()),
        ));
    };
    if extent.lies_on(*page, (field.x_mm, field.y_mm)) {
        return Ok(());
    }
    Err(Refusal::invalid(
        "field.outside",
        format!("签署位 {index} 的印章（及其下方说明）超出第 {} 页", field.page),
        format!("the imprint of slot {index}, or the caption below it, would leave page {}", field.page),
    ))
}

/// The step of this name.
///
/// # Errors
/// When there is none.
pub fn fulfilment_step(step: &str) -> Result<FulfilmentStep, Refusal> {
    match step {
        "due" => Ok(FulfilmentStep::Due),
        "performed" => Ok(FulfilmentStep::Performed),
        "accepted" => Ok(FulfilmentStep::Accepted),
        "overdue" => Ok(FulfilmentStep::Overdue),
        _ => Err(Refusal::invalid(
            "fulfilment.step",
            "履约步骤须为 due、performed、accepted 或 overdue",
            "a step is due, performed, accepted or overdue",
        )),
    }
}

/// Title and number of a contract.
///
/// # Errors
/// When one is empty or too long.
pub fn heading(title: &str, number: &str) -> Result<(String, String), Refusal> {
    Ok((text("title", title, 120)?, text("number", number, 64)?))
}

pub mod caption;
pub mod straddle;
#[cfg(test)]
mod tests;
