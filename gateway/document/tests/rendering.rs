//! Rendered documents: identical bytes, real text, attachments, anchors, and refusals instead of blemishes.
#![allow(clippy::unwrap_used)]

mod support;

use qz_document::render::{self, RenderError, sample};
use qz_document::seal::{self, SealError};
use qz_evidence_pdf::attachments;
use support::{Demo, NOW_MS, certificate_data, oracle, unusual_certificate_data};

fn contract_text() -> render::ContractText {
    sample::contract("SL-CG-2026-1122", "2026年11月22日", NOW_MS)
}

fn text_of(pdf: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pdf).unwrap();
    let (ok, text) = oracle(&["structure", &file.path().to_string_lossy()]);
    assert!(ok, "{text}");
    let (ok, text) = oracle(&["text", &file.path().to_string_lossy()]);
    assert!(ok, "{text}");
    text.split_whitespace().collect()
}

#[test]
fn contract_has_its_text_and_places_for_seals() {
    let rendered = render::contract(&contract_text()).unwrap();
    let text = text_of(&rendered.pdf);
    for wanted in ["设备采购合同", sample::BUYER, sample::SELLER, "第一条", "第十条", "¥1,100,000.00", "第1页共"]
    {
        assert!(text.contains(wanted), "{wanted}");
    }
    assert!((3..=5).contains(&rendered.pages));
    for name in ["seal-0", "seal-1", "person-0", "person-1"] {
        let anchor = rendered.anchor(name).unwrap();
        assert_eq!(anchor.page, rendered.pages);
        assert!((20.0..190.0).contains(&anchor.x_mm) && (20.0..277.0).contains(&anchor.y_mm), "{anchor:?}");
    }
    assert_eq!(rendered, render::contract(&contract_text()).unwrap(), "same data, same bytes");
}

#[test]
fn signing_certificate_lists_everything_and_carries_the_proof() {
    let demo = Demo::new();
    let data = certificate_data(&demo, b"contract");
    let rendered = render::signing_certificate(&data, b"the proof", Some(b"the genesis")).unwrap();
    let text = text_of(&rendered.pdf);
    for wanted in [
        "电子合同签署证明",
        "本证明不是公证书",
        "演示核验",
        "演示印章",
        "非依法设立的电子认证服务提供者",
        "未附第三方时间戳",
        "平台托管",
        "签署人自持",
        "合同专用章",
        "三种时间",
        "上链时间",
        "如何校验",
        "不能证明",
        "演示互联网法院",
        "未在本证明中",
        "SigningCertificate",
    ] {
        assert!(text.contains(wanted), "{wanted}");
    }
    for value in [
        &data.number,
        &data.contract.sha256,
        &data.chain.block_id,
        &data.chain.records[4].hash,
        &data.parties[1].certificate.serial,
        &data.parties[0].key.intent_key,
        &data.verification.genesis_hash,
    ] {
        assert!(text.contains(value.as_str()), "{value}");
    }
    let attached = attachments(&rendered.pdf).unwrap();
    let find = |name: &str| attached.iter().find(|a| a.name == name).map(|a| a.bytes.clone());
    assert_eq!(find("proof.qzproof").as_deref(), Some(b"the proof".as_slice()));
    assert_eq!(find("genesis.qz").as_deref(), Some(b"the genesis".as_slice()));
    assert!(rendered.anchor("issuer").is_some());
    let again = render::signing_certificate(&data, b"the proof", Some(b"the genesis")).unwrap();
    assert_eq!(rendered.pdf, again.pdf);
}

#[test]
fn amendment_and_receipt() {
    let sha256 = "ab".repeat(32);
    let amendment = sample::amendment("B1", "SL-CG-2026-1122", &sha256, "2026年12月1日", NOW_MS);
    let rendered = render::amendment(&amendment).unwrap();
    assert!(text_of(&rendered.pdf).contains("补充协议"));
    assert!(rendered.anchor("seal-1").is_some());
    let receipt = render::payment_receipt(&sample::receipt("HD1", "SL-CG-2026-1122", NOW_MS)).unwrap();
    assert!(text_of(&receipt.pdf).contains("不是任何银行出具的凭证"));
    assert_eq!(receipt.pages, 1);
}

#[test]
fn user_text_is_never_markup() {
    let mut text = contract_text();
    text.preamble = "#panic(\"x\") *粗* $x^2$ #read(\"/etc/passwd\") \\ <anchor> @ref // 注释 [括号]".into();
    let rendered = render::contract(&text).unwrap();
    let shown = text_of(&rendered.pdf);
    assert!(shown.contains("#panic(\"x\")*粗*$x^2$#read(\"/etc/passwd\")"), "{shown}");
    assert_eq!(rendered.anchors.len(), 4);
}

#[test]
fn missing_glyphs_are_named() {
    let mut text = contract_text();
    text.preamble = "表情 😀 与 𓀀".into();
    match render::contract(&text) {
        Err(RenderError::MissingGlyphs(characters)) => assert_eq!(characters, ['𓀀', '😀']),
        other => panic!("{:?}", other.map(|rendered| rendered.pages)),
    }
    assert!(matches!(seal::company_seal("😀公司", ""), Err(SealError::Render(RenderError::MissingGlyphs(_)))));
}

/// Every text is shown as it is, or refused with the characters that cannot be shown; nothing becomes a box.
#[test]
fn rare_characters_are_shown_or_refused() {
    let shown = [
        "𠮷野家", // U+20BB7, beyond the basic plane
        "䶮女士", // U+4DAE
        "㐂㼆㬢",
        "臺灣電腦軟體與龜龍",
        "Žižek, Ångström, naïve façade, Đặng",
        "Ελληνικά Кириллица",
        "ＡＢＣ１２３（全角）「」『』",
        "㈱№℃㎡½①⑩Ⅷ",
        "¥ € £ — … · × ÷ ≤ ≥ ± °",
        "かなカナ",
    ];
    for wanted in shown {
        let text = render::ContractText { preamble: wanted.into(), ..contract_text() };
        let rendered = render::contract(&text).unwrap_or_else(|error| panic!("{wanted}: {error}"));
        let plain: String = wanted.split_whitespace().collect();
        assert!(text_of(&rendered.pdf).contains(&plain), "{wanted}");
    }
    let refused: [(&str, &[char]); 6] = [
        ("表情 😀", &['😀']),
        ("一家 👨\u{200d}👩\u{200d}👧", &['👨', '👩', '👧']),
        ("私用 \u{e123}", &['\u{e123}']),
        ("控制 \u{7}", &['\u{7}']),
        ("阿拉伯 سلام", &['س', 'ل', 'ا', 'م']),
        ("生僻 \u{3347a}", &['\u{3347a}']),
    ];
    for (wanted, characters) in refused {
        let text = render::ContractText { preamble: wanted.into(), ..contract_text() };
        match render::contract(&text) {
            Err(error @ RenderError::MissingGlyphs(_)) => {
                let RenderError::MissingGlyphs(named) = &error else { unreachable!("matched above") };
                assert!(characters.iter().all(|one| named.contains(one)), "{wanted}: {named:?}");
                assert!(error.to_string().contains("请更换写法"), "{error}");
            }
            other => panic!("{wanted}: {:?}", other.map(|rendered| rendered.pages)),
        }
    }
}

/// A table over many pages repeats its head, and every page says which it is of how many.
#[test]
fn long_tables_are_paginated() {
    let rendered = render::contract(&sample::long_contract(NOW_MS)).unwrap();
    assert!(rendered.pages >= 25, "{} pages", rendered.pages);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &rendered.pdf).unwrap();
    let (ok, text) = oracle(&["text", &file.path().to_string_lossy()]);
    assert!(ok, "{text}");
    let pages: Vec<String> = text
        .split('\u{c}')
        .map(|page| page.split_whitespace().collect())
        .filter(|page: &String| !page.is_empty())
        .collect();
    assert_eq!(pages.len(), rendered.pages);
    let mut heads = 0;
    for (index, page) in pages.iter().enumerate() {
        assert!(page.contains(&format!("第{}页共{}页", index + 1, pages.len())), "page {}", index + 1);
        if page.contains("测量机型号") {
            assert!(page.contains("规格型号") && page.contains("单价（元）"), "page {} has no head", index + 1);
            heads += 1;
        }
    }
    assert!(heads >= 20, "{heads} pages with goods");
    assert!(pages.iter().any(|page| page.contains("测量机型号950")), "the last line is there");
    assert!(rendered.anchor("seal-0").unwrap().page == rendered.pages);
}

#[test]
fn long_values_stay_on_the_page() {
    let demo = Demo::new();
    let mut data = certificate_data(&demo, b"contract");
    data.contract.name = "关于超长项目名称的战略合作框架协议".repeat(6);
    data.parties[0].name = "某某某某某某某某某某某某某某某某某某某某某某有限责任公司".into();
    data.parties[0].identity.device = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 ".repeat(3);
    data.verification.portal_url = format!("https://example.org/{}", "a".repeat(220));
    data.contract.file_name = format!("{}.pdf", "合同".repeat(60));
    data.parties[1].certificate.subject = "上海样本精密仪器有限公司 合同专用章".repeat(4);
    render::signing_certificate(&data, b"p", None).unwrap();
    let unusual = unusual_certificate_data(&demo, b"contract");
    let text = text_of(&render::signing_certificate(&unusual, b"p", None).unwrap().pdf);
    for wanted in ["演示时间戳", "保证人", "310115********0025", "智能化系统"] {
        assert!(text.contains(wanted), "{wanted}");
    }
}

#[test]
fn seals_are_deterministic_and_bounded() {
    let seal = seal::company_seal(sample::SELLER, "合同专用章").unwrap();
    assert_eq!((seal.width_mm, seal.height_mm), (40.0, 40.0));
    assert_eq!(seal, seal::company_seal(sample::SELLER, "合同专用章").unwrap());
    assert!(seal::company_seal(&"长".repeat(28), "财务专用章").is_ok());
    assert!(matches!(seal::company_seal(&"长".repeat(29), ""), Err(SealError::Length { found: 29, .. })));
    for name in ["李明", "周雅文", "欧阳明远"] {
        seal::name_seal(name).unwrap();
    }
    assert!(matches!(seal::name_seal("A"), Err(SealError::Length { .. })));
}

#[test]
fn the_report_on_a_seal_lists_every_use_on_numbered_pages() {
    let data = support::seal_report_data(200);
    let rendered = render::seal_report(&data).unwrap();
    assert_eq!(rendered.pdf, render::seal_report(&data).unwrap().pdf, "identical input gives identical bytes");
    assert!(rendered.pages > 10, "{}", rendered.pages);
    assert!(rendered.anchor("issuer").is_some_and(|place| place.page == rendered.pages));
    let text = text_of(&rendered.pdf);
    for number in (1..=200).filter(|number| number % 5 != 0) {
        assert!(text.contains(&format!("QF-2026-{number:04}")), "use {number}");
    }
    for page in 1..=rendered.pages {
        assert!(text.contains(&format!("第{page}页共{}页", rendered.pages)), "page {page}");
    }
    // The head of the table stands on each of its pages.
    assert!(text.matches("用印人与依据").count() >= rendered.pages - 3, "{}", rendered.pages);
    for part in ["+08:00", "已被授权3取代", "经办人离职", "所有人自用", "本平台未留存", "骑缝章"]
    {
        assert!(text.contains(part), "{part}");
    }
    let none = render::SealReportData { uses: vec![], authorisations: vec![], ..support::seal_report_data(0) };
    let text = text_of(&render::seal_report(&none).unwrap().pdf);
    assert!(text.contains("没有链上用印记录") && text.contains("没有授权他人用印"));
}
