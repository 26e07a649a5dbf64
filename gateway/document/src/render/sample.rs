//! Sample data: a purchase contract between two invented companies, its amendment and a payment.
//!
//! Names say 示例 and 样本, so that nobody takes them for real companies; the codes have valid check
//! digits and belong to nobody.

use super::{AmendmentText, Change, Clause, ClauseTable, ContractParty, ContractText, Item, Payment, ReceiptText};

/// The buyer's name.
pub const BUYER: &str = "北京示例科技有限公司";
/// The seller's name.
pub const SELLER: &str = "上海样本精密仪器有限公司";

fn owned(text: &str) -> String {
    text.to_owned()
}

/// The buyer and the seller.
pub fn parties() -> Vec<ContractParty> {
    vec![
        ContractParty {
            role: owned("甲方（买方）"),
            name: owned(BUYER),
            id_code: owned("91110108MA00DEM14Q"),
            legal_representative: owned("李明远"),
            handler: owned("陈思齐"),
            address: owned("北京市海淀区示例路 8 号院 2 号楼 1201 室"),
            phone: owned("010-5555 0108"),
            bank: owned("示例银行北京海淀支行 1100 5555 0000 0108"),
        },
        ContractParty {
            role: owned("乙方（卖方）"),
            name: owned(SELLER),
            id_code: owned("91310115MA1KDEM22C"),
            legal_representative: owned("周雅文"),
            handler: owned("吴晓东"),
            address: owned("上海市浦东新区样本路 66 弄 3 号 5 层"),
            phone: owned("021-5555 0115"),
            bank: owned("样本银行上海浦东支行 3100 5555 0000 0115"),
        },
    ]
}

fn clause(heading: &str, text: &str, table: Option<ClauseTable>) -> Clause {
    Clause { heading: owned(heading), text: owned(text), table }
}

fn item(name: &str, specification: &str, unit: &str, quantity: &str, unit_price: &str, total: &str) -> Item {
    Item {
        name: owned(name),
        specification: owned(specification),
        unit: owned(unit),
        quantity: owned(quantity),
        unit_price: owned(unit_price),
        total: owned(total),
    }
}

fn payment(stage: &str, condition: &str, share: &str, amount: &str) -> Payment {
    Payment { stage: owned(stage), condition: owned(condition), share: owned(share), amount: owned(amount) }
}

/// The purchase contract; `number` is its contract number, `created_ms` its creation time.
pub fn contract(number: &str, sign_date: &str, created_ms: i64) -> ContractText {
    ContractText {
        title: owned("设备采购合同"),
        number: owned(number),
        parties: parties(),
        preamble: owned(
            "根据《中华人民共和国民法典》《中华人民共和国电子签名法》及其他有关法律、行政法规的规定，甲乙双方遵循平等、自愿、公平和诚实信用的原则，就甲方向乙方采购精密检测设备事宜协商一致，订立本合同，以资共同遵守。",
        ),
        clauses: clauses(),
        items: vec![
            item("三坐标测量机", "SM-800，行程 800×1000×600 mm", "台", "2", "368,000.00", "736,000.00"),
            item("光学影像测量仪", "SV-300，配自动变倍镜头", "台", "3", "86,000.00", "258,000.00"),
            item("测头及标准球组件", "SP-25M", "套", "2", "42,500.00", "85,000.00"),
            item("安装调试与操作培训", "现场 5 个工作日", "项", "1", "21,000.00", "21,000.00"),
        ],
        payments: vec![
            payment("预付款", "本合同生效之日起 5 个工作日内", "30%", "330,000.00"),
            payment("到货款", "全部设备到货并开箱清点无误之日起 10 个工作日内", "40%", "440,000.00"),
            payment("验收款", "最终验收合格并收到全额增值税专用发票之日起 15 个工作日内", "25%", "275,000.00"),
            payment("质量保证金", "质量保证期届满且无未决质量问题之日起 10 个工作日内", "5%", "55,000.00"),
        ],
        amount: owned("人民币壹佰壹拾万元整（¥1,100,000.00）"),
        sign_date: owned(sign_date),
        place: owned("北京市海淀区"),
        created_ms,
    }
}

fn clauses() -> Vec<Clause> {
    vec![
        clause(
            "合同标的及价款",
            "乙方按照下表所列名称、规格、数量向甲方供货，并提供相应的安装调试与培训服务。\n合同总价为含税固定总价，包含设备、包装、运输、保险、安装调试、培训、质量保证期内的服务及增值税（税率 13%）等一切费用，除双方另有书面约定外不作调整。",
            Some(ClauseTable::Items),
        ),
        clause(
            "付款方式",
            "甲方按下表约定以银行转账方式向乙方付款。乙方应在每次付款前向甲方开具等额合法有效的增值税专用发票；乙方迟延开具发票的，甲方有权相应顺延付款，且不承担逾期付款责任。",
            Some(ClauseTable::Payments),
        ),
        clause(
            "交付与运输",
            "乙方应于本合同生效之日起 45 日内将全部设备运至甲方指定地点：北京市海淀区示例路 8 号院 2 号楼。运输、装卸及保险费用由乙方承担，设备毁损、灭失的风险自甲方签收时起转移。\n乙方应当提前 3 个工作日书面通知甲方到货时间，并随货提供装箱单、产品合格证、使用说明书及校准证书。",
            None,
        ),
        clause(
            "安装、调试与验收",
            "设备到货后，双方共同开箱清点并签署到货清点单。乙方应在到货后 10 个工作日内完成安装调试，甲方应在调试完成后 7 个工作日内按照附件一《技术规格书》组织验收。\n验收合格的，双方签署《最终验收单》；验收不合格的，乙方应在 10 个工作日内整改并再次提请验收，由此增加的费用由乙方承担。",
            None,
        ),
        clause(
            "质量保证",
            "质量保证期为最终验收合格之日起 24 个月。质量保证期内设备发生非人为故障的，乙方应在接到通知后 4 小时内响应、48 小时内到达现场，并免费予以维修或者更换。",
            None,
        ),
        clause(
            "违约责任",
            "乙方逾期交付的，每逾期一日，应按逾期部分价款的万分之五向甲方支付违约金；逾期超过 30 日的，甲方有权解除合同。\n甲方逾期付款的，每逾期一日，应按应付未付款项的万分之五向乙方支付违约金。任何一方违反本合同给对方造成损失的，还应赔偿违约金不足以弥补的损失。",
            None,
        ),
        clause(
            "保密",
            "双方对因签订和履行本合同所知悉的对方商业秘密、技术资料和个人信息负有保密义务，未经对方书面同意不得向第三方披露。本条款在合同终止后 3 年内继续有效。",
            None,
        ),
        clause(
            "不可抗力",
            "因不可抗力不能履行合同的，根据不可抗力的影响，部分或者全部免除责任，但遭受不可抗力的一方应当及时通知对方，并在 15 日内提供有关机构出具的证明。",
            None,
        ),
        clause(
            "争议解决",
            "因本合同引起的或者与本合同有关的任何争议，双方应当协商解决；协商不成的，任何一方均可向甲方所在地有管辖权的人民法院提起诉讼。\n双方确认：本合同所载联系方式可作为法律文书的送达地址；存证于区块链的电子数据可以作为认定事实的依据提交。",
            None,
        ),
        clause(
            "电子签约与生效",
            "双方同意采用可靠的电子签名方式订立本合同，电子签名与手写签名或者盖章具有同等的法律效力。本合同自双方加盖电子印章之日起生效。\n本合同的订立、变更、履行、解除等过程的摘要由双方共同确认后记入区块链，双方可各自下载合同最终文件与《电子合同签署证明》，并独立校验。",
            None,
        ),
    ]
}

/// The amendment of a contract made with [`contract()`].
pub fn amendment(
    number: &str, contract_number: &str, contract_sha256: &str, sign_date: &str, created_ms: i64,
) -> AmendmentText {
    let change = |clause: &str, before: &str, after: &str| Change {
        clause: owned(clause),
        before: owned(before),
        after: owned(after),
    };
    AmendmentText {
        title: owned("补充协议（一）"),
        number: owned(number),
        contract_title: owned("设备采购合同"),
        contract_number: owned(contract_number),
        contract_sha256: owned(contract_sha256),
        parties: parties(),
        reason: owned("因甲方场地改造进度调整，经双方协商一致，就原合同有关条款达成如下补充协议："),
        changes: vec![
            change(
                "第三条第一款",
                "乙方应于本合同生效之日起 45 日内将全部设备运至甲方指定地点。",
                "乙方应于本合同生效之日起 60 日内将全部设备运至甲方指定地点；甲方应至少提前 7 日书面确认场地具备进场条件。",
            ),
            change(
                "第五条",
                "质量保证期为最终验收合格之日起 24 个月。",
                "质量保证期为最终验收合格之日起 30 个月，价款不变。",
            ),
        ],
        sign_date: owned(sign_date),
        place: owned("北京市海淀区"),
        created_ms,
    }
}

/// The receipt for the first payment of a contract made with [`contract()`].
pub fn receipt(number: &str, contract_number: &str, paid_ms: i64) -> ReceiptText {
    ReceiptText {
        number: owned(number),
        payer: owned(BUYER),
        payer_account: owned("1100 **** **** 0108"),
        payer_bank: owned("示例银行北京海淀支行"),
        payee: owned(SELLER),
        payee_account: owned("3100 **** **** 0115"),
        payee_bank: owned("样本银行上海浦东支行"),
        amount_words: owned("人民币叁拾叁万元整"),
        amount_figures: owned("¥330,000.00"),
        purpose: format!("{contract_number} 设备采购合同 第 1 期 预付款（30%）"),
        paid_ms,
    }
}

/// The same contract with 950 lines of goods: some thirty pages.
pub fn long_contract(created_ms: i64) -> ContractText {
    let line = |index: usize| {
        item(&format!("三坐标测量机型号{index}"), &format!("SM-{index}"), "台", "1", "1,000.00", "1,000.00")
    };
    ContractText { items: (1..=950).map(line).collect(), ..contract("SL-LONG-2026", "2026年11月22日", created_ms) }
}
