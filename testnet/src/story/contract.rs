//! A contract from its document to the final file: fixed on the ledger, looked at and signed by each
//! party's own client, completed. And what follows: an amendment, a payment, its acceptance.

use super::parties::short;
use super::{Options, People, Story, write};
use crate::api::{Operation, text};
use crate::party::{Party, Understood};
use crate::verifier;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qz_evidence::commitment::{Opening, name};
use qz_evidence::hash::sha256;
use qz_evidence::payload::{
    ContractAmended, ContractFulfilment, ContractOpened, ContractSigned, FulfilmentStep, Payload, SlotKind,
};
use qz_evidence::{Hash32, SubjectId};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const CONTRACT_TEXT: &str = include_str!("../../story/contract.json");
const AMENDMENT_TEXT: &str = include_str!("../../story/amendment.json");
const RECEIPT_TEXT: &str = include_str!("../../story/receipt.json");
/// What a signer agrees to, in words.
const INTENT: &str = "本人已阅读并同意签署本合同 I have read this contract and agree to sign it";
/// Handling person and authority of each slot.
const HANDLERS: [(&str, &str); 3] =
    [("李明远", "法定代表人"), ("吴晓东", "乙方授权用印，授权已上链"), ("吴晓东", "本人")];
/// Longest time from the last signature to the completed contract.
const COMPLETION: Duration = Duration::from_secs(60);

/// Where an imprint goes: page from 1, middle in millimetres from the lower left corner.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    page: u64,
    x_mm: f64,
    y_mm: f64,
}

/// A place that must be signed, and by whom.
#[derive(Clone, Debug)]
pub struct Slot {
    /// A seal, or a person's own key.
    pub kind: SlotKind,
    /// The seal or the key.
    pub subject: SubjectId,
    /// 甲方 1, 乙方 2.
    pub role: u8,
    /// Where.
    pub place: Place,
    /// How many slices its cross-page seal 骑缝章 has; 0 without one.
    pub slices: usize,
}

/// A contract that is fixed on the ledger.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its subject.
    pub subject: SubjectId,
    /// Its title.
    pub title: String,
    /// Its own number.
    pub number: String,
    /// The document as uploaded or rendered, as the signers see it.
    pub document: Vec<u8>,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// The ledger's commitment to the version.
    pub version: Hash32,
}

/// A document that the gateway holds.
struct Document {
    id: String,
    pdf: Vec<u8>,
    places: Vec<Place>,
    pages: usize,
}

impl Story {
    /// Steps 4 to 6: the contract is fixed and signed; one validator is killed in between.
    pub async fn sign_contract_through_an_outage(
        &mut self, people: &mut People, options: &Options,
    ) -> Result<Contract> {
        self.screen.step("合同文本上传并固定上链", "the contract's text is fixed on the ledger");
        let number = format!("QM-CG-{}", jiff::Zoned::now().strftime("%Y%m%d-%H%M%S"));
        let document = match &options.pdf {
            Some(path) => self.upload_own(path).await?,
            None => self.render("procurement", &contract_text(&number)?).await?,
        };
        let title = match &options.pdf {
            Some(path) => path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("合同").chars().take(60).collect(),
            None => "服务器设备采购合同".to_owned(),
        };
        let contract = self.open_and_fix(people, &title, &number, document, None).await?;

        self.screen.step("各方客户端核对文本摘要后签署", "each party's client looks, then signs");
        self.sign(&contract, 0, &people.buyer.party).await?;
        self.kill_validator().await?;
        self.sign(&contract, 1, &people.person).await?;
        self.sign(&contract, 2, &people.person).await?;
        let signed = self.completed(&contract).await?;
        write(&self.outputs.contract, &signed)?;
        self.check_straddling(&contract)?;
        self.screen.fact("已签合同 signed contract", format!("{} bytes", signed.len()));
        self.bring_validator_back().await?;
        Ok(contract)
    }

    /// The verifier finds every signature intact and each company's seal across all pages.
    fn check_straddling(&mut self, contract: &Contract) -> Result<()> {
        let report = verifier::examine(&self.network.binaries.verify, &self.outputs.contract)?;
        let wanted: Vec<usize> = contract.slots.iter().map(|slot| 1 + slot.slices).collect();
        if wanted.iter().all(|places| *places == 1) {
            self.screen.note("单页合同不加盖骑缝章 · a contract of one page has no cross-page seal");
            return Ok(());
        }
        let signatures = report["signatures"].as_array().context("the report has no signatures")?;
        let places = signatures.iter().map(|one| one["placements"].as_array().map_or(0, Vec::len));
        let intact = signatures.iter().all(|one| one["status"] == "intact");
        self.screen.check(
            "两家公司的骑缝章跨全部页面，此前各签名完好 · both companies' seals across all pages, every signature intact",
            intact && places.eq(wanted),
            || report.to_string(),
        )
    }

    /// Step 7: a second signed contract, which amends the first.
    pub async fn amend(&mut self, people: &People, contract: &Contract) -> Result<()> {
        self.screen.step("签署补充协议并变更合同", "an amendment is signed and takes effect");
        let signed = std::fs::read(&self.outputs.contract).context("the signed contract")?;
        let number = format!("QM-BC-{}", jiff::Zoned::now().strftime("%Y%m%d-%H%M%S"));
        let document = self.render("amendment", &amendment_text(&number, contract, &signed)?).await?;
        let amendment = self.open_and_fix(people, "补充协议（一）", &number, document, Some(contract.subject)).await?;
        self.sign(&amendment, 0, &people.buyer.party).await?;
        self.sign(&amendment, 1, &people.person).await?;
        self.sign(&amendment, 2, &people.person).await?;
        let file = self.completed(&amendment).await?;
        write(&self.outputs.amendment, &file)?;

        let path = format!("/v1/contracts/{}/amendments", contract.subject);
        let (operation, _) = self.api.begin(&path, &json!({ "amendment": amendment.subject.to_string() })).await?;
        let initiator = &people.buyer.party;
        let seen = initiator.understand(&operation)?;
        let expected = ContractAmended { contract: contract.subject, amendment: amendment.subject };
        ensure!(*seen.payload() == Payload::ContractAmended(expected), "not the amendment that was asked for");
        let settled = self.sign_and_settle(&operation, initiator, &seen).await?;
        let recorded = settled.record.is_some();
        self.screen
            .check("合同变更已上链 · contract.amended is on the ledger", recorded, || "no record".to_owned())
    }

    /// Step 8: a payment with its receipt, and its acceptance.
    pub async fn fulfil(&mut self, people: &People, contract: &Contract) -> Result<()> {
        self.screen.step("履约：付款与确认收款", "fulfilment: a payment and its acceptance");
        let receipt = self.render("receipt", &receipt_text(&contract.title)?).await?;
        let steps = [
            (&people.buyer.party, FulfilmentStep::Performed, "支付预付款 30%（¥192,000.00）", Some(&receipt)),
            (&people.seller.party, FulfilmentStep::Accepted, "确认收到预付款", None),
        ];
        for (party, step, description, receipt) in steps {
            let request = json!({
                "key": party.subject()?.to_string(),
                "obligation": 1,
                "step": step,
                "description": description,
                "receipt_document": receipt.map(|r| &r.id),
            });
            let (operation, _) =
                self.api.begin(&format!("/v1/contracts/{}/fulfilments", contract.subject), &request).await?;
            let seen = party.understand(&operation)?;
            let expected = ContractFulfilment { contract: contract.subject, obligation: 1, step };
            ensure!(*seen.payload() == Payload::ContractFulfilment(expected), "not the fulfilment that was asked for");
            seen.expect(name::DESCRIPTION, description.as_bytes())?;
            if let Some(receipt) = receipt {
                seen.expect(name::RECEIPT, &sha256(&[&receipt.pdf]).0)?;
            }
            self.sign_and_settle(&operation, party, &seen).await?;
            self.screen.note(&format!("{}：{description} · {step:?}", party.name));
        }
        self.screen.confirm("付款及其回单摘要、收款确认已上链 · payment, receipt digest and acceptance recorded");
        Ok(())
    }

    /// Opens a contract of the sample's text between the people and fixes it.
    pub async fn open_sample(&mut self, people: &People) -> Result<Contract> {
        let number = format!("QM-CG2-{}", jiff::Zoned::now().strftime("%Y%m%d-%H%M%S"));
        let document = self.render("procurement", &contract_text(&number)?).await?;
        self.open_and_fix(people, "服务器设备采购合同（二）", &number, document, None).await
    }

    async fn open_and_fix(
        &mut self, people: &People, title: &str, number: &str, document: Document, amends: Option<SubjectId>,
    ) -> Result<Contract> {
        let signers = [
            (SlotKind::Seal, people.buyer.seal.subject, 1),
            (SlotKind::Seal, people.seller.seal.subject, 2),
            (SlotKind::Key, people.person.subject()?, 2),
        ];
        ensure!(document.places.len() == signers.len(), "the document has not a place for every signer");
        let places = signers.into_iter().zip(&document.places);
        // Companies seal across the pages too; a single page has nothing to be sealed together.
        let slices = |kind| if kind == SlotKind::Seal && document.pages > 1 { document.pages } else { 0 };
        let slots: Vec<Slot> = places
            .map(|((kind, subject, role), place)| Slot { kind, subject, role, place: *place, slices: slices(kind) })
            .collect();
        let initiator = &people.buyer.party;
        let request = json!({
            "title": title,
            "number": number,
            "document": document.id,
            "initiator": initiator.subject()?.to_string(),
            "slots": slots.iter().map(slot_json).collect::<Vec<_>>(),
            "rules": [],
            "amends": amends.map(|subject| subject.to_string()),
        });
        let (operation, _) = self.api.begin("/v1/contracts", &request).await?;
        let seen = initiator.understand(&operation)?;
        let Payload::ContractOpened(ContractOpened { initiator: who, slots: opened, amends: what, .. }) =
            seen.payload()
        else {
            bail!("not an opening of a contract");
        };
        let same_slots =
            opened.iter().map(|s| (s.kind, s.subject, s.role)).eq(slots.iter().map(|s| (s.kind, s.subject, s.role)));
        ensure!(*who == initiator.subject()? && same_slots && *what == amends, "not the contract that was asked for");
        seen.expect(name::TITLE, title.as_bytes())?;
        self.sign_and_settle(&operation, initiator, &seen).await?;
        let subject = operation.created_subject.context("the operation creates no contract")?;

        let (operation, _) = self.api.begin(&format!("/v1/contracts/{subject}/fix"), &json!({})).await?;
        let seen = initiator.understand(&operation)?;
        seen.expect_document(&document.pdf)?;
        let version = *seen.body().commitment(name::DOCUMENT).context("the version is not committed")?;
        let settled = self.sign_and_settle(&operation, initiator, &seen).await?;
        let height = settled.record.map_or(0, |record| record.height);
        self.screen
            .note(&format!("《{title}》{} 已在区块 {height} 固定版本 · fixed in block {height}", short(&subject)));
        Ok(Contract {
            subject,
            title: title.to_owned(),
            number: number.to_owned(),
            document: document.pdf,
            slots,
            version,
        })
    }

    /// One slot, by a party whose client looks before it signs.
    pub async fn sign(&mut self, contract: &Contract, slot: usize, party: &Party) -> Result<()> {
        let (operation, seen) = self.prepare_signature(contract, slot, party).await?;
        let start = Instant::now();
        let settled = self.sign_and_settle(&operation, party, &seen).await?;
        let height = settled.record.map_or(0, |record| record.height);
        let elapsed = start.elapsed().as_secs_f64();
        self.screen.confirm(&format!(
            "{} 核对摘要后签署（第 {} 处），区块 {height} 共识确认后才落章 · signed, final in block {height}, then sealed ({elapsed:.1} s)",
            party.name,
            slot + 1
        ));
        Ok(())
    }

    /// Asks for a signature and looks at what comes back, without signing.
    pub async fn prepare_signature(
        &self, contract: &Contract, slot: usize, party: &Party,
    ) -> Result<(Operation, Understood)> {
        // What the ledger fixed is what this client has before its eyes.
        let state = self.api.get(&format!("/v1/contracts/{}", contract.subject)).await?;
        let opening = opening_of_version(&state)?;
        ensure!(opening.commitment().hash == contract.version, "the opening is not of the fixed version");
        let document = self.api.get_file(&document_path(&state)?).await?;
        ensure!(opening.value[..] == sha256(&[&document]).0, "the downloaded document is not the fixed version");

        let request = json!({
            "slot": slot, "key": party.subject()?.to_string(), "intent": INTENT,
            "handler": HANDLERS.get(slot).map(|(handler, _)| handler),
            "authority": HANDLERS.get(slot).map(|(_, authority)| authority),
        });
        let (operation, _) =
            self.api.begin(&format!("/v1/contracts/{}/signatures", contract.subject), &request).await?;
        let seen = party.understand(&operation)?;
        let Slot { kind, subject, place, slices, .. } = contract.slots.get(slot).context("no such slot")?;
        let expected = ContractSigned {
            contract: contract.subject,
            slot: u8::try_from(slot)?,
            version: contract.version,
            seal: (*kind == SlotKind::Seal).then_some(*subject),
        };
        ensure!(*seen.payload() == Payload::ContractSigned(expected), "not the signature that was asked for");
        seen.expect(name::INTENT, INTENT.as_bytes())?;
        check_positions(seen.value("positions")?, place, *slices)?;
        ensure!(operation.version_document_sha256 == Some(sha256(&[&document])), "another document than the fixed one");
        let to_be_signed = operation.to_be_signed_sha256.context("the gateway does not say what will be signed")?;
        seen.expect(name::TO_BE_SIGNED, &to_be_signed.0)?;
        Ok((operation, seen))
    }

    /// Hands in a signature and waits for finality and what follows it.
    pub async fn sign_and_settle(&self, operation: &Operation, party: &Party, seen: &Understood) -> Result<Operation> {
        self.api.sign(operation, &party.subject()?, &party.sign(seen)).await?;
        self.final_or_error(operation).await
    }

    /// Waits until the contract is completed; gives the final file.
    pub async fn completed(&mut self, contract: &Contract) -> Result<Vec<u8>> {
        let deadline = Instant::now() + COMPLETION;
        let path = format!("/v1/contracts/{}", contract.subject);
        let state = loop {
            let state = self.api.get(&path).await?;
            if state["status"] == "completed" {
                break state;
            }
            ensure!(Instant::now() < deadline, "the contract is not completed: {state}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let file = self.api.get_file(&format!("{path}/document")).await?;
        let digest = sha256(&[&file]).to_string();
        let named = state["signed_document_sha256"].as_str().unwrap_or_default().to_owned();
        self.screen.check(
            "合同签署完成，最终文件摘要已上链 · completed; the final file is committed",
            digest == named,
            || named,
        )?;
        self.screen.check(
            "签名均为增量更新，原文逐字节未变 · signatures are incremental: the original bytes are untouched",
            file.len() > contract.document.len() && file.starts_with(&contract.document),
            || "the final file does not start with the fixed version".to_owned(),
        )?;
        Ok(file)
    }

    async fn render(&self, template: &str, data: &Value) -> Result<Document> {
        let answer = self.api.post("/v1/documents/render", &json!({ "template": template, "data": data })).await?;
        let place = |wanted: &str| -> Option<Place> {
            let anchor = answer["anchors"].as_array()?.iter().find(|anchor| anchor["name"] == wanted)?;
            Some(Place {
                page: anchor["page"].as_u64()?,
                x_mm: anchor["x_mm"].as_f64()?,
                y_mm: anchor["y_mm"].as_f64()?,
            })
        };
        let places = ["seal-0", "seal-1", "person-1"].into_iter().filter_map(place).collect();
        self.document(&answer, places).await
    }

    /// The user's own PDF: places at the foot of its last page.
    async fn upload_own(&self, path: &Path) -> Result<Document> {
        let pdf = std::fs::read(path).with_context(|| format!("无法读取 cannot read {}", path.display()))?;
        let file_name = path.file_name().and_then(|n| n.to_str()).unwrap_or("contract.pdf");
        let answer =
            self.api.upload(file_name, &pdf).await.with_context(|| {
                format!("这份 PDF 目前不能签署 · this PDF cannot be signed yet: {}", path.display())
            })?;
        let pages = answer["pages"].as_array().context("the answer has no pages")?;
        let last = pages.last().context("the PDF has no page")?;
        let width = last["width_mm"].as_f64().context("the page has no width")?;
        let height = last["height_mm"].as_f64().context("the page has no height")?;
        // Company seals are 40 mm wide, a name seal 18 mm; a little apart where the page allows it.
        let y_mm = (height * 0.12).max(22.0);
        let page = u64::try_from(pages.len())?;
        let places = [0.25, 0.6, 0.86].map(|share| Place { page, x_mm: width * share, y_mm }).to_vec();
        self.screen.note(&format!(
            "签署您的 PDF：{}，{} 页，印章置于末页下方 · your own PDF, seals at the foot of the last page",
            path.display(),
            pages.len()
        ));
        self.document(&answer, places).await
    }

    async fn document(&self, answer: &Value, places: Vec<Place>) -> Result<Document> {
        let id = text(answer, "id")?.to_owned();
        let pdf = self.api.get_file(&format!("/v1/documents/{id}")).await?;
        ensure!(sha256(&[&pdf]).to_string() == text(answer, "sha256")?, "the document is not the one announced");
        let pages = answer["pages"].as_array().context("the answer has no pages")?.len();
        Ok(Document { id, pdf, places, pages })
    }
}

fn document_path(contract: &Value) -> Result<String> {
    Ok(format!("/v1/documents/{}", text(&contract["document"], "id")?))
}

/// What opens the commitment to the fixed version.
fn opening_of_version(contract: &Value) -> Result<Opening> {
    let openings = contract["opening"].as_array().context("the contract shows no opening")?;
    let value = openings.iter().find(|o| o["name"] == name::DOCUMENT).context("the version is not opened")?;
    let salt = Hash32::from_hex(text(value, "salt")?).context("the salt is not hexadecimal")?;
    let bytes = STANDARD.decode(text(value, "value")?).context("the value is not base64")?;
    Ok(Opening::new(name::DOCUMENT, salt.0, bytes))
}

/// The record binds the seal to the places that were asked for, and to no other.
fn check_positions(value: &[u8], place: &Place, slices: usize) -> Result<()> {
    let positions: Value = serde_json::from_slice(value).context("the positions are no JSON")?;
    let number = |name: &str| positions[name].as_f64().with_context(|| format!("no {name} in {positions}"));
    let (x, y) = (number("x_mm")? + number("width_mm")? / 2.0, number("y_mm")? + number("height_mm")? / 2.0);
    let there = (x - place.x_mm).abs() < 0.05 && (y - place.y_mm).abs() < 0.05;
    let across = positions["straddle"].as_array().map_or(0, Vec::len);
    ensure!(positions["page"] == place.page && there && across == slices, "other places than asked for: {positions}");
    Ok(())
}

fn slot_json(slot: &Slot) -> Value {
    let Place { page, x_mm, y_mm } = slot.place;
    json!({
        "straddle": (slot.slices > 0).then(|| json!({})),
        "role": slot.role,
        "kind": slot.kind,
        "subject": slot.subject.to_string(),
        "group": 1,
        "field": { "page": page, "x_mm": x_mm, "y_mm": y_mm },
    })
}

/// The sample contract's text with its number, date and time.
fn contract_text(number: &str) -> Result<Value> {
    let mut text: Value = serde_json::from_str(CONTRACT_TEXT).context("the sample contract")?;
    text["number"] = json!(number);
    date(&mut text);
    Ok(text)
}

fn amendment_text(number: &str, contract: &Contract, signed: &[u8]) -> Result<Value> {
    let mut text: Value = serde_json::from_str(AMENDMENT_TEXT).context("the sample amendment")?;
    text["number"] = json!(number);
    text["contract_title"] = json!(contract.title);
    text["contract_number"] = json!(contract.number);
    text["contract_sha256"] = json!(sha256(&[signed]).to_string());
    date(&mut text);
    Ok(text)
}

fn receipt_text(contract_title: &str) -> Result<Value> {
    let mut text: Value = serde_json::from_str(RECEIPT_TEXT).context("the sample receipt")?;
    let now = jiff::Zoned::now();
    text["number"] = json!(now.strftime("HD%Y%m%d%H%M%S").to_string());
    text["purpose"] = json!(format!("《{contract_title}》第 1 期 预付款（30%）"));
    text["paid_ms"] = json!(now.timestamp().as_millisecond());
    Ok(text)
}

fn date(text: &mut Value) {
    let now = jiff::Zoned::now();
    text["sign_date"] = json!(now.strftime("%Y年%-m月%-d日").to_string());
    text["created_ms"] = json!(now.timestamp().as_millisecond());
}
