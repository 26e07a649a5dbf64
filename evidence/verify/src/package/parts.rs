//! Checks 3 to 6 of a court package: the retrieval, the contracts, their documents and certificates. Each
//! part is verified by the door through which it would go alone.

use super::manifest::{ContractIn, FileIn, FileRole, Manifest};
use super::{Part, Refused, find};
use crate::archive::Entry;
use crate::{Input, attached_proof, verify_with};
use qz_evidence::bundle::Bundle;
use qz_evidence::commitment::name;
use qz_evidence::genesis::Role;
use qz_evidence::payload::Payload;
use qz_evidence::record::Record;
use qz_evidence::records_tree::record_hash;
use qz_evidence::submission::Parsed;
use qz_evidence::verify::{Event, Member, Note, Report, Verdict};
use qz_evidence::{Hash32, SubjectId, decode_strict};
use std::collections::BTreeSet;

pub(super) struct Parts<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) max_age_ms: Option<u64>,
    pub(super) entries: &'a [Entry],
    pub(super) manifest: &'a Manifest,
    pub(super) parts: Vec<Part>,
    /// Who signed the retrieval.
    pub(super) court: Option<Member>,
}

type Outcome = Result<((), Note), Refused>;

impl Parts<'_> {
    fn bytes(&self, file: &FileIn) -> &[u8] {
        // Check 2 found every listed file.
        find(self.entries, &file.path).unwrap_or_default()
    }

    fn only(&self, role: FileRole, contract: Option<usize>) -> Result<&FileIn, Refused> {
        let mut found = self.manifest.files_of(role, contract);
        match (found.next(), found.next()) {
            (Some(file), None) => Ok(file),
            _ => Err(Refused::new(
                format!("须恰有一个 {role:?} 文件"),
                format!("there must be exactly one file of role {role:?}"),
            )),
        }
    }

    /// Verifies a part by itself and keeps its report; an invalid part refuses the package.
    fn verify(&mut self, file: &FileIn, proof: Option<&FileIn>, what: (&str, &str)) -> Result<Report, Refused> {
        let proof = proof.map(|proof| find(self.entries, &proof.path).unwrap_or_default());
        let bytes = find(self.entries, &file.path).unwrap_or_default();
        let report = verify_with(&Input { file: bytes, proof, ..*self.input }, self.max_age_ms);
        let part = Part {
            path: file.path.clone(),
            role: file.role,
            contract: file.contract,
            what_zh: what.0.to_owned(),
            what_en: what.1.to_owned(),
            report: report.clone(),
        };
        self.parts.push(part);
        if report.verdict == Verdict::Invalid {
            let (zh, en) = report.failed_step().map_or_else(
                || ("校验不通过".to_owned(), "it does not verify".to_owned()),
                |step| {
                    (format!("第 {} 步：{}", step.n, step.detail_zh), format!("step {}: {}", step.n, step.detail_en))
                },
            );
            return Err(Refused::at(&file.path, format!("{}：{zh}", file.path), format!("{}: {en}", file.path)));
        }
        Ok(report)
    }

    /// Check 3. Closes: a package that no court asked for, or for other contracts or another case.
    pub(super) fn retrieval(&mut self) -> Outcome {
        let file = self.only(FileRole::RetrievalProof, None)?.clone();
        let refuse = |zh: &str, en: &str| Refused::at(&file.path, zh, en);
        let report = self.verify(&file, None, ("法院调取记录的证据包", "proof of the court's retrieval"))?;
        let at = &self.manifest.retrieval;
        let event =
            event(&report, &at.record).filter(|(_, event)| event.kind == "retrieval.made").ok_or_else(|| {
                refuse(
                    "证据包中没有清单所称的调取记录",
                    "the proof does not show the retrieval that the manifest names",
                )
            })?;
        if (event.1.height.0, event.1.index, event.1.time_ms) != (at.height, at.index, at.time_ms)
            || report.chain_id != Some(self.manifest.chain_id)
            || report.chain_name.as_ref() != Some(&self.manifest.chain_name)
        {
            return Err(refuse(
                "清单所称的链、区块或时间与证据包不符",
                "ledger, block or time are not those of the manifest",
            ));
        }
        let (contracts, actors, digest) = retrieval_in(self.bytes(&file), &at.record)
            .ok_or_else(|| refuse("调取记录无法解析", "the retrieval's record cannot be read"))?;
        let office = SubjectId::of_organisation(&self.manifest.chain_id, &self.manifest.court);
        let court = report.organisations.iter().find(|member| member.org == self.manifest.court);
        let court =
            court.filter(|court| court.roles.contains(&Role::Court) && actors == [office]).ok_or_else(|| {
                refuse(
                    "调取记录不是由清单所称的法院签署",
                    "the retrieval is not signed by the court that the manifest names",
                )
            })?;
        let named: Vec<SubjectId> = self.manifest.contracts.iter().map(|contract| contract.subject).collect();
        if contracts != named || digest != at.digest {
            return Err(refuse(
                "调取记录所列合同与清单不一致",
                "the retrieval is about other contracts than the manifest",
            ));
        }
        let disclosed = |name: &str| disclosed(&report, event.0, name);
        if disclosed(name::NUMBER) != Some(&self.manifest.case_number)
            || disclosed(name::NOTICE_AFTER) != at.notice_after.as_ref()
        {
            return Err(refuse(
                "案号或通知日期与调取记录不符",
                "case number or date of notice are not those of the retrieval",
            ));
        }
        self.court = Some(court.clone());
        Ok((
            (),
            Note::new(
                format!(
                    "{}以印鉴密钥就案号 {} 签署调取，已上链（区块 {}）",
                    court.name_zh, self.manifest.case_number, at.height
                ),
                format!(
                    "{} signed the retrieval for case {} with its office key; it is on the ledger (block {})",
                    court.name_en, self.manifest.case_number, at.height
                ),
            ),
        ))
    }

    /// Check 4. Closes: records left out; a proof from before the retrieval.
    pub(super) fn contracts(&mut self) -> Outcome {
        let mut records = 0;
        for (number, contract) in (1..).zip(&self.manifest.contracts) {
            let file = self.only(FileRole::Proof, Some(number))?.clone();
            let words = (format!("合同“{}”的证据包", contract.title), format!("proof of contract {number}"));
            let report = self.verify(&file, None, (&words.0, &words.1))?;
            let refuse = |zh: &str, en: &str| Refused::at(&file.path, zh, en);
            let state = report.subjects.iter().find(|subject| subject.subject == contract.subject);
            if !state.is_some_and(|state| state.complete && state.records > 0) {
                return Err(refuse(
                    "证据包没有列出该合同的全部记录",
                    "the proof does not show every record of the contract",
                ));
            }
            let own: Vec<_> = own_events(&report, &contract.subject).collect();
            if !own.iter().any(|(_, event)| event.record_hash == self.manifest.retrieval.record) {
                return Err(refuse("证据包止于调取之前", "the proof ends before the retrieval"));
            }
            let opened = own.iter().find(|(_, event)| event.kind == "contract.opened");
            let named = opened.is_some_and(|(at, _)| {
                disclosed(&report, *at, name::TITLE) == Some(&contract.title)
                    && disclosed(&report, *at, name::NUMBER) == Some(&contract.number)
            });
            if !named {
                return Err(refuse("合同名称或编号与链上承诺不符", "title or number are not those of the ledger"));
            }
            records += own.len();
        }
        let count = self.manifest.contracts.len();
        Ok((
            (),
            Note::new(
                format!("{count} 份合同共 {records} 条记录，至证明所在区块无遗漏，含本次调取"),
                format!(
                    "{count} contracts with {records} records, none missing up to the blocks of the proofs, this retrieval among them"
                ),
            ),
        ))
    }

    /// Check 5. Closes: another text, a missing or extra signature.
    pub(super) fn documents(&mut self) -> Outcome {
        let mut count = 0;
        for (number, contract) in (1..).zip(&self.manifest.contracts) {
            let proof = self.only(FileRole::Proof, Some(number))?.clone();
            let files: Vec<FileIn> = [FileRole::Version, FileRole::Final, FileRole::Receipt]
                .into_iter()
                .flat_map(|role| self.manifest.files_of(role, Some(number)).cloned())
                .collect();
            for file in files {
                let (kind, zh, en) = match file.role {
                    FileRole::Version => ("contract.version_fixed", "待签文本", "version put up for signing"),
                    FileRole::Final => ("contract.completed", "最终文件", "final file"),
                    _ => ("contract.fulfilment", "履约凭证", "file of fulfilment"),
                };
                let report = self.verify(&file, Some(&proof), (&format!("合同“{}”的{zh}", contract.title), en))?;
                let about = report
                    .documents
                    .first()
                    .and_then(|document| report.events.get(document.event.filter(|_| document.matches == Some(true))?));
                // A version that nobody signed may be the final file too; the door names the later record.
                let fits = about.is_some_and(|event| event.kind == kind && event.subjects.contains(&contract.subject));
                if !fits {
                    return Err(Refused::at(
                        &file.path,
                        format!("{} 不是该合同的{zh}", file.path),
                        format!("{} is not the {en} of this contract", file.path),
                    ));
                }
                count += 1;
            }
            if self.has_completed(number) && self.manifest.files_of(FileRole::Final, Some(number)).count() != 1 {
                return Err(Refused::new(
                    format!("合同 {number} 已签署完成，但缺少最终文件"),
                    format!("contract {number} was completed, but its final file is missing"),
                ));
            }
        }
        Ok((
            (),
            Note::new(
                format!("{count} 个文件与链上承诺一致；最终文件的签名与链上逐一对应"),
                format!("{count} files agree with the ledger; the signatures of final files are those on the ledger"),
            ),
        ))
    }

    fn has_completed(&self, number: usize) -> bool {
        let part = self.parts.iter().find(|part| part.role == FileRole::Proof && part.contract == Some(number));
        let subject = self.manifest.contracts.get(number - 1).map(|contract| contract.subject);
        part.zip(subject).is_some_and(|(part, subject)| {
            own_events(&part.report, &subject).any(|(_, e)| e.kind == "contract.completed")
        })
    }

    /// Check 6. Closes: a certificate of another contract, or altered.
    pub(super) fn certificates(&mut self) -> Outcome {
        let mut count = 0;
        for (number, ContractIn { subject, title, .. }) in (1..).zip(&self.manifest.contracts) {
            let files: Vec<FileIn> = self.manifest.files_of(FileRole::Certificate, Some(number)).cloned().collect();
            for file in files {
                let is_certificate = matches!(attached_proof(self.bytes(&file)), Ok(Some(_)));
                let words = (format!("合同“{title}”的签署证明"), format!("signing certificate of contract {number}"));
                let report = self.verify(&file, None, (&words.0, &words.1))?;
                let is_about = own_events(&report, subject).any(|(_, event)| event.kind == "contract.completed");
                if !is_certificate || !is_about {
                    return Err(Refused::at(
                        &file.path,
                        format!("{} 不是该合同的签署证明", file.path),
                        format!("{} is not a signing certificate of this contract", file.path),
                    ));
                }
                count += 1;
            }
        }
        Ok((
            (),
            match count {
                0 => Note::new("包内没有签署证明", "the package contains no signing certificate"),
                _ => Note::new(format!("{count} 份签署证明校验通过"), format!("{count} signing certificates verify")),
            },
        ))
    }
}

fn event<'a>(report: &'a Report, record: &Hash32) -> Option<(usize, &'a Event)> {
    report.events.iter().enumerate().find(|(_, event)| event.record_hash == *record)
}

fn own_events<'a>(report: &'a Report, subject: &'a SubjectId) -> impl Iterator<Item = (usize, &'a Event)> {
    report.events.iter().enumerate().filter(move |(_, event)| event.subjects.contains(subject))
}

fn disclosed<'a>(report: &'a Report, event: usize, name: &str) -> Option<&'a String> {
    report.disclosures.iter().find(|d| d.event == event && d.name == name).map(|d| &d.value)
}

/// Contracts, actors and digest of a `retrieval.made` in a bundle that has been verified.
fn retrieval_in(bundle: &[u8], wanted: &Hash32) -> Option<(Vec<SubjectId>, Vec<SubjectId>, Hash32)> {
    let bundle: Bundle = decode_strict(bundle).ok()?;
    let entry = bundle.entries.iter().find(|entry| record_hash(&entry.record) == *wanted)?;
    let record: Record = decode_strict(&entry.record).ok()?;
    let parsed = Parsed::without_relay_check(&record.submission).ok()?;
    let Payload::RetrievalMade(fields) = &parsed.body().payload else { return None };
    let actors: BTreeSet<SubjectId> = parsed.submission().actors.iter().map(|actor| actor.subject).collect();
    Some((fields.contracts.clone(), actors.into_iter().collect(), parsed.digest()))
}
