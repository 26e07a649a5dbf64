//! What each refusal says.

use super::{Reject, RejectText};

impl Reject {
    /// Code and both messages.
    pub fn text(&self) -> RejectText {
        let (code, zh, en) = match self {
            Self::OtherLedger => (
                "submission.other_ledger",
                "该提交属于另一条链；请核对链标识后重新签名".into(),
                "this submission is for another ledger; check the chain id and sign it again".into(),
            ),
            Self::Expired { expiry, height } => (
                "submission.expired",
                format!("提交在高度 {expiry} 已失效（当前高度 {height}）；请用新的失效高度重新签名"),
                format!("the submission expired at height {expiry} (this is height {height}); sign it again with a later expiry"),
            ),
            Self::ExpiryTooFar { expiry, latest } => (
                "submission.expiry_too_far",
                format!("失效高度 {expiry} 过远，最多为 {latest}；请重新签名"),
                format!("the expiry {expiry} is too far ahead, at most {latest} is allowed; sign it again"),
            ),
            Self::Duplicate { recorded } => (
                "submission.duplicate",
                format!("相同内容已在高度 {recorded} 上链，无需重复提交"),
                format!("the same content is on the ledger since height {recorded}; nothing more to do"),
            ),
            Self::IdReused { recorded } => (
                "submission.id_reused",
                format!("该提交编号已于高度 {recorded} 用于其他内容；请换一个新的随机编号"),
                format!("this submission id was used for other content at height {recorded}; take a new random id"),
            ),
            Self::AlgorithmNotYet => (
                "algorithm.not_yet",
                "当前协议版本尚不接受 WebAuthn 密钥；请使用 Ed25519 或 ES256".into(),
                "this version of the protocol does not accept WebAuthn keys yet; use Ed25519 or ES256".into(),
            ),
            Self::CommitmentMissing { name } => (
                "commitment.missing",
                format!("缺少承诺 {name}；请补上后重新签名"),
                format!("the commitment {name} is missing; add it and sign again"),
            ),
            Self::RelayUnknown { relay } => (
                "relay.unknown",
                format!("{relay} 不是联盟成员；请通过成员提交"),
                format!("{relay} is no member of the consortium; submit through a member"),
            ),
            Self::RelayKey { relay } => (
                "relay.key",
                format!("转交密钥不是 {relay} 现行的密钥；请该成员检查其配置"),
                format!("the relay key is not the one in force for {relay}; that member should check its configuration"),
            ),
            Self::RelayRole { relay, role } => (
                "relay.role",
                format!("{relay} 不具备所需角色 {role:?}；请通过具备该角色的成员提交"),
                format!("{relay} lacks the role {role:?} that this needs; submit through a member that has it"),
            ),
            Self::RelaySignature { relay } => (
                "relay.signature",
                format!("{relay} 的转交签名验证失败；请重新提交"),
                format!("the relay signature of {relay} does not verify; submit it again"),
            ),
            Self::RelayObserver { relay } => (
                "relay.observer",
                format!("{relay} 是观察成员，只能查阅；请通过其他成员提交"),
                format!("{relay} is an observer, which only reads; submit through another member"),
            ),
            Self::ActorCount { needed, found } => (
                "actor.count",
                format!("需要 {needed} 个行为人签名，实有 {found} 个；转交机构不能代替当事人签名"),
                format!("{needed} actor signatures are needed and {found} are there; a relay cannot act for the party"),
            ),
            Self::ActorNotEntitled { subject } => (
                "actor.not_entitled",
                format!("密钥 {subject} 无权作出该行为；请由有权的密钥签名"),
                format!("key {subject} is not entitled to this; the key that is must sign"),
            ),
            Self::ActorSignature { subject } => (
                "actor.signature",
                format!("密钥 {subject} 的签名验证失败；请用该密钥对提交正文重新签名"),
                format!("the signature of key {subject} does not verify; sign the body again with that key"),
            ),
            Self::OfficeRole { subject, role } => (
                "office.role",
                format!("{subject} 不是具备 {role:?} 角色的成员机构；请由该类机构的办公密钥签名"),
                format!("{subject} is no member with the role {role:?}; the office key of such a member must sign"),
            ),
            Self::OfficeUnknown { organisation } => (
                "office.unknown",
                format!("{organisation} 不是联盟成员（或已退出），不能以其名义行事"),
                format!("{organisation} is no member of the consortium (any more), nobody can act in its name"),
            ),
            Self::SubjectUnknown { subject } => (
                "subject.unknown",
                format!("链上没有 {subject}；请核对编号，或等待其上链"),
                format!("the ledger has no subject {subject}; check the id, or wait until it is recorded"),
            ),
            Self::SubjectType { subject, found, expected } => (
                "subject.type",
                format!("{subject} 的类型是 {found:?}，此处需要 {expected:?}"),
                format!("{subject} is of type {found:?}, {expected:?} is needed here"),
            ),
            Self::KeyRevoked { subject } => (
                "key.revoked",
                format!("密钥 {subject} 已吊销；请登记新密钥"),
                format!("key {subject} is revoked; register a new one"),
            ),
            Self::KeyMalformed => (
                "key.malformed",
                "公钥无效；请生成新的密钥".into(),
                "the public key is not a valid one of its algorithm; make a new key".into(),
            ),
            Self::KeyUnchanged { subject } => (
                "key.unchanged",
                format!("新密钥与 {subject} 现行密钥相同；请使用新的密钥"),
                format!("the new key is the one that {subject} has already; use another"),
            ),
            Self::AttestorUnknown { attestor } => (
                "attestor.unknown",
                format!("身份核验机构 {attestor} 不是联盟成员"),
                format!("the attestor {attestor} is no member of the consortium"),
            ),
            Self::AttestorRole { attestor } => (
                "attestor.role",
                format!("{attestor} 不具备身份核验资格；请选择具备该资格的成员"),
                format!("{attestor} may not attest to identities; choose a member with the attestor role"),
            ),
            Self::AttestorIsRelay { attestor } => (
                "attestor.is_relay",
                format!("本联盟要求身份核验机构与转交机构不同，二者均为 {attestor}；请由另一成员核验或转交"),
                format!("this ledger wants attestor and relay to be different members, both are {attestor}; use another for one of them"),
            ),
            Self::SealSuspended { seal } => (
                "seal.suspended",
                format!("印章 {seal} 已停用，不能用印；请印章所有人先恢复"),
                format!("seal {seal} is suspended and cannot be used; its owner must resume it first"),
            ),
            Self::SealDestroyed { seal } => (
                "seal.destroyed",
                format!("印章 {seal} 已销毁，不能再使用；请制作新印章"),
                format!("seal {seal} is destroyed for good; make a new one"),
            ),
            Self::SealNotSuspended { seal } => (
                "seal.not_suspended",
                format!("印章 {seal} 未停用，无需恢复"),
                format!("seal {seal} is not suspended, there is nothing to resume"),
            ),
            Self::SealNotAuthorised { seal, key } => (
                "seal.not_authorised",
                format!("密钥 {key} 未获授权使用印章 {seal}；请印章所有人授权"),
                format!("key {key} is not authorised for seal {seal}; the owner must authorise it"),
            ),
            Self::SealUsesExhausted { seal, key } => (
                "seal.uses_exhausted",
                format!("密钥 {key} 对印章 {seal} 的授权次数已用完；请印章所有人重新授权"),
                format!("the authorised uses of seal {seal} by key {key} are used up; the owner must authorise more"),
            ),
            Self::SealAuthorisationEnded { seal, key, until } => (
                "seal.authorisation_ended",
                format!("密钥 {key} 对印章 {seal} 的授权在高度 {until} 已到期；请印章所有人重新授权"),
                format!("the authorisation of key {key} for seal {seal} ended at height {until}; the owner must renew it"),
            ),
            Self::SealAuthorisationEmpty => (
                "seal.authorisation_empty",
                "授权次数为零或已过期，没有意义；请改正次数或期限".into(),
                "the authorisation allows no use at all; correct its count or its end".into(),
            ),
            Self::SealAuthorisationLimit { seal, limit } => (
                "seal.authorisation_limit",
                format!("印章 {seal} 已有 {limit} 项授权；请先撤销不用的"),
                format!("seal {seal} has {limit} authorisations already; revoke those not needed"),
            ),
            Self::ContractStatus { contract, status } => (
                "contract.status",
                format!("合同 {contract} 的状态为“{}”，不能进行该操作", status.words().0),
                format!("contract {contract} is `{}`, which does not allow this", status.words().1),
            ),
            Self::ContractSlotCount { found } => (
                "contract.slot_count",
                format!("签署位应为 1 至 32 个，实有 {found} 个"),
                format!("a contract has 1 to 32 slots, this one has {found}"),
            ),
            Self::ContractSlotRepeated { subject } => (
                "contract.slot_repeated",
                format!("{subject} 占用了两个签署位；同一密钥或印章只能有一个"),
                format!("{subject} stands in two slots; a key or seal can have only one"),
            ),
            Self::ContractSlotRole { role } => (
                "contract.slot_role",
                format!("签署位角色 {role} 无效；应为 1、2、3、4 或 9"),
                format!("{role} is no slot role; use 1, 2, 3, 4 or 9"),
            ),
            Self::ContractSlotUnknown { slot } => (
                "contract.slot_unknown",
                format!("合同没有第 {slot} 号签署位"),
                format!("the contract has no slot {slot}"),
            ),
            Self::ContractSlotSigned { slot } => (
                "contract.slot_signed",
                format!("第 {slot} 号签署位已签署"),
                format!("slot {slot} is signed already"),
            ),
            Self::ContractSlotOrder { slot, group } => (
                "contract.slot_order",
                format!("第 {slot} 号签署位须等待第 {group} 组先签署完毕"),
                format!("slot {slot} has to wait until order group {group} has signed"),
            ),
            Self::ContractGroupRule { group } => (
                "contract.group_rule",
                format!("第 {group} 组的签署人数规则无效（组须存在、升序、不重复，人数为 1 至该组签署位数）"),
                format!("the rule of order group {group} is not valid (groups exist, ascend, stand once; 1 to as many as the group has slots)"),
            ),
            Self::ContractVersionNumber { expected, found } => (
                "contract.version_number",
                format!("版本号应为 {expected}，实为 {found}"),
                format!("the version number must be {expected}, it is {found}"),
            ),
            Self::ContractVersionOther => (
                "contract.version_other",
                "签署所指文本不是链上固定的待签文本；请重新读取当前版本后再签".into(),
                "the signature names another document than the version fixed on the ledger; read the current version and sign that".into(),
            ),
            Self::ContractPartlySigned { contract } => (
                "contract.partly_signed",
                format!("合同 {contract} 已有人签署，不能更换文本"),
                format!("contract {contract} bears a signature already, its document cannot change"),
            ),
            Self::ContractSealOfSlot { slot } => (
                "contract.seal_of_slot",
                format!("所用印章不是第 {slot} 号签署位指定的印章（或该签署位不用印）"),
                format!("the seal is not the one of slot {slot} (or that slot takes none)"),
            ),
            Self::ContractAmendmentOther { contract, amendment } => (
                "contract.amendment_other",
                format!("{amendment} 发起时未指明变更合同 {contract}"),
                format!("{amendment} was not opened as an amendment of contract {contract}"),
            ),
            Self::ContractAmendmentParties { amendment } => (
                "contract.amendment_parties",
                format!("变更合同 {amendment} 未由原合同各方签署"),
                format!("amendment {amendment} is not signed by all the parties of the original"),
            ),
            Self::ContractAmendmentRepeated { amendment } => (
                "contract.amendment_repeated",
                format!("变更合同 {amendment} 已生效"),
                format!("amendment {amendment} has taken effect already"),
            ),
            Self::ContractFulfilmentStep { obligation } => (
                "contract.fulfilment_step",
                format!("第 {obligation} 项义务的当前状态不允许该履约步骤"),
                format!("obligation {obligation} is not at a step that allows this one"),
            ),
            Self::ContractFulfilmentSelf { obligation } => (
                "contract.fulfilment_self",
                format!("第 {obligation} 项义务须由履行方以外的一方验收"),
                format!("obligation {obligation} is to be accepted by another party than the one that performed it"),
            ),
            Self::ContractLimit { contract, what, limit } => (
                "contract.limit",
                format!("合同 {contract} 的 {what} 已达上限 {limit}"),
                format!("contract {contract} has its limit of {limit} {what}"),
            ),
            Self::ContractPartyMissing { contract, party } => (
                "contract.party_missing",
                format!("合同 {contract} 的解除或作废须经各方签名，缺少 {party}"),
                format!("ending contract {contract} needs the signature of every party, that of {party} is missing"),
            ),
            Self::ContractForum { forum } => (
                "contract.forum",
                format!("{forum} 不是联盟内的法院或仲裁机构；请选择具备该角色的成员"),
                format!("{forum} is no court or arbitration body of the consortium; choose a member that is one"),
            ),
            Self::ContractDisputePending { contract } => (
                "contract.dispute_pending",
                format!("合同 {contract} 的争议已提交法院或仲裁机构，尚待裁判"),
                format!("contract {contract} is in dispute already; wait for the ruling"),
            ),
            Self::ContractRulingForm { forum, form } => (
                "contract.ruling_form",
                format!("{forum} 不能出具{}；判决书、裁定书由法院出具，裁决书由仲裁机构出具", form.words().0),
                format!(
                    "{forum} cannot issue a document of the form `{}`: courts issue judgments and orders, arbitration bodies awards",
                    form.words().1
                ),
            ),
            Self::ContractRulingInterim { form } => (
                "contract.ruling_interim",
                format!("{}不能作程序性裁判；程序性事项用裁定书", form.words().0),
                format!("a document of the form `{}` cannot be procedural; use an order", form.words().1),
            ),
            Self::RetrievalCount { found } => (
                "retrieval.count",
                format!("一次调证应涉及 1 至 4 份合同，实为 {found} 份"),
                format!("a retrieval is of 1 to 4 contracts, this one is of {found}"),
            ),
            Self::RetrievalRepeated { contract } => (
                "retrieval.repeated",
                format!("合同 {contract} 在同一次调证中出现两次"),
                format!("contract {contract} stands twice in one retrieval"),
            ),
            Self::AuditNotGrown { log, last, found } => (
                "audit.not_grown",
                format!("审计日志 {log} 上次锚定有 {last} 条，本次为 {found} 条；条数须增加"),
                format!("audit log {log} had {last} entries at its last anchor and has {found} now; it has to grow"),
            ),
            Self::GovernanceQuorum { needed, members, found } => (
                "governance.quorum",
                format!("治理变更须由 {members} 家成员中至少 {needed} 家以公章密钥批准，实有 {found} 家；请补充批准"),
                format!("a change of the consortium needs the offices of {needed} of {members} members, {found} approved; collect more approvals"),
            ),
            Self::GovernanceSignedTwice { subject } => (
                "governance.signed_twice",
                format!("机构 {subject} 批准了两次；每家机构只计一次"),
                format!("organisation {subject} approved twice; each counts once"),
            ),
            Self::GovernanceUnchanged => (
                "governance.unchanged",
                "该变更与现状相同，无需变更".into(),
                "this is what is in force already; there is nothing to change".into(),
            ),
            Self::GovernanceCard { reason } => (
                "governance.card",
                format!("机构名片无效（{reason}）；请该机构重新导出名片"),
                format!("the organisation card is not valid ({reason}); that organisation should export it again"),
            ),
            Self::GovernanceKeyShared { organisation, purpose } => (
                "governance.key_shared",
                format!("{organisation} 的 {purpose} 密钥另有他用；每把密钥只能有一个用途和一个机构"),
                format!("the {purpose} key of {organisation} is used elsewhere too; every key must be its own"),
            ),
            Self::GovernanceAuthority { organisation } => (
                "governance.authority",
                format!("{organisation} 的 TLS 证书机构无效，或与其他成员相同；请自行生成"),
                format!("the TLS CA of {organisation} is no certificate, or another member's; it must make its own"),
            ),
            Self::GovernanceMembers { limit } => (
                "governance.members",
                format!("联盟已有 {limit} 家成员，不能再增加"),
                format!("a consortium has at most {limit} members"),
            ),
            Self::GovernanceMemberUnknown { organisation } => (
                "governance.member_unknown",
                format!("{organisation} 不是联盟成员"),
                format!("{organisation} is no member of the consortium"),
            ),
            Self::GovernanceTooFew { left, needed } => (
                "governance.too_few",
                format!("移除后只剩 {left} 家成员，不足治理所需的 {needed} 家；请先降低治理门槛"),
                format!("{left} members would be left, fewer than the {needed} that a change needs; lower the quorum first"),
            ),
            Self::GovernanceValidators => (
                "governance.validators",
                "验证人集合无效（须按地址升序、不重复、至少一个、投票权在范围内）".into(),
                "this is no valid set of validators (ascending by address, each once, at least one, powers in range)".into(),
            ),
            Self::GovernanceValidatorUnknown { organisation } => (
                "governance.validator_unknown",
                format!("{organisation} 不是运行该共识密钥验证人的成员；请核对其现行名片"),
                format!("{organisation} is no member that runs a validator with this key; look at its card in force"),
            ),
            Self::GovernanceParams { reason } => (
                "governance.params",
                format!("参数无效（{reason}）"),
                format!("the parameters are not valid ({reason})"),
            ),
            Self::GovernanceProtocol { found, expected } => (
                "governance.protocol",
                format!("参数变更不能改变协议版本（现为 {expected}，所给为 {found}）；请用升级提案"),
                format!("parameters cannot change the protocol version ({expected} is in force, {found} given); propose an upgrade"),
            ),
            Self::GovernanceMajority { needed, members } => (
                "governance.majority",
                format!("治理门槛须为多数：{members} 家成员至少 {needed} 家"),
                format!("the governance quorum must be a majority: at least {needed} of {members} members"),
            ),
            Self::GovernanceUpgrade { version, now, earliest } => (
                "governance.upgrade",
                format!("不能升级到协议版本 {version}：现行版本为 {now}，生效高度最早为 {earliest}；无待生效的升级时不能撤回"),
                format!("no upgrade to protocol version {version}: {now} is in force, the earliest height is {earliest}, and only a pending upgrade can be taken back"),
            ),
        };
        RejectText { code, zh, en }
    }
}
