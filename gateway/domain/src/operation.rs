//! An operation: a body that waits for its actors' signatures and then for finality.

use crate::refusal::Refusal;
use qz_evidence::keys::PublicKey;
use qz_evidence::submission::actor_message;
use qz_evidence::{Hash32, SubjectId};
use serde::{Deserialize, Serialize};

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Actors must still sign.
    AwaitingSignatures,
    /// All have signed; on its way to the ledger.
    Queued,
    /// Recorded.
    Final,
    /// The ledger refused it.
    Rejected,
    /// Nobody signed in time.
    Expired,
}

impl Status {
    /// The name in the API and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingSignatures => "awaiting_signatures",
            Self::Queued => "queued",
            Self::Final => "final",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::AwaitingSignatures, Self::Queued, Self::Final, Self::Rejected, Self::Expired]
            .into_iter()
            .find(|status| status.as_str() == name)
    }

    /// In Chinese and English.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::AwaitingSignatures => ("等待签名", "waiting for signatures"),
            Self::Queued => ("正在上链", "on its way to the ledger"),
            Self::Final => ("已上链", "recorded"),
            Self::Rejected => ("已被拒绝", "refused by the ledger"),
            Self::Expired => ("已过期", "expired"),
        }
    }
}

/// What may happen to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// An actor signs, and it is not the last one.
    SignOne,
    /// The last actor signs.
    SignLast,
    /// The ledger has recorded it. What we gave up may be recorded too: its actor may have taken it to
    /// another member, or a node that lagged behind refused what the others accepted.
    Finalise,
    /// The ledger refuses it.
    Reject,
    /// Time is up.
    Expire,
}

/// The state machine.
///
/// # Errors
/// When the status does not admit the command.
pub fn next(status: Status, command: Command) -> Result<Status, Refusal> {
    match (status, command) {
        (Status::AwaitingSignatures, Command::SignOne) => Ok(Status::AwaitingSignatures),
        (Status::AwaitingSignatures, Command::SignLast) => Ok(Status::Queued),
        (Status::AwaitingSignatures, Command::Expire) => Ok(Status::Expired),
        (Status::AwaitingSignatures | Status::Queued | Status::Expired | Status::Rejected, Command::Finalise) => {
            Ok(Status::Final)
        }
        (Status::Queued, Command::Reject) => Ok(Status::Rejected),
        (Status::Expired, Command::SignOne | Command::SignLast) => Err(Refusal::state(
            "operation.expired",
            "该操作已过期，请重新发起",
            "the operation has expired; start it again",
        )),
        (status, _) => {
            let (zh, en) = status.words();
            Err(Refusal::state("operation.state", format!("该操作{zh}"), format!("the operation is {en}")))
        }
    }
}

/// Somebody whose signature an operation needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredActor {
    /// The key subject, or an organisation's subject for its office.
    pub subject: SubjectId,
    /// Why, in Chinese.
    pub why: String,
}

/// Is `signature` the one that `subject` owes?
///
/// # Errors
/// When the subject is not required or has signed already, or the signature does not verify.
pub fn check_signature(
    required: &[RequiredActor], signed: &[SubjectId], subject: &SubjectId, key: &PublicKey, digest: &Hash32,
    signature: &[u8],
) -> Result<Command, Refusal> {
    if !required.iter().any(|actor| actor.subject == *subject) {
        return Err(Refusal::not_entitled(
            "actor.not_required",
            "该操作不需要此主体签名",
            "this operation does not need this subject's signature",
        ));
    }
    if signed.contains(subject) {
        return Err(Refusal::state("actor.signed", "该主体已签名", "this subject has signed already"));
    }
    if !key.verify(&actor_message(digest), signature) {
        return Err(Refusal::invalid(
            "signature.invalid",
            "签名验证不通过：须以登记的密钥对 “qz/actor/v1” 与正文摘要签名",
            "the signature does not verify: sign \"qz/actor/v1\" and the body digest with the registered key",
        ));
    }
    let waiting = required.iter().filter(|actor| actor.subject != *subject && !signed.contains(&actor.subject)).count();
    Ok(if waiting == 0 { Command::SignLast } else { Command::SignOne })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Command::{Expire, Finalise, Reject, SignLast, SignOne};
    use Status::{AwaitingSignatures, Expired, Final, Queued, Rejected};

    #[test]
    fn transitions() {
        let allowed = [
            (AwaitingSignatures, SignOne, AwaitingSignatures),
            (AwaitingSignatures, SignLast, Queued),
            (AwaitingSignatures, Expire, Expired),
            (AwaitingSignatures, Finalise, Final),
            (Queued, Finalise, Final),
            (Queued, Reject, Rejected),
            (Expired, Finalise, Final),
            (Rejected, Finalise, Final),
        ];
        for status in [AwaitingSignatures, Queued, Final, Rejected, Expired] {
            for command in [SignOne, SignLast, Finalise, Reject, Expire] {
                let expected =
                    allowed.iter().find(|(from, c, _)| (*from, *c) == (status, command)).map(|(_, _, to)| *to);
                assert_eq!(next(status, command).ok(), expected, "{status:?} {command:?}");
            }
            assert_eq!(Status::parse(status.as_str()), Some(status));
        }
        assert_eq!(next(Expired, SignLast).map_err(|r| r.code), Err("operation.expired"));
    }
}
