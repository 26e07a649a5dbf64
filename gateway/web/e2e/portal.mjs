/** The portal's page: what can be dropped on it, what it says, and to whom it says it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { accessible, again, choose, fits, focused, giveTrust, open, PHONE, shot, verdict, withSettings } from './harness.mjs'

/** Signed PDFs of every kind, committed for the verifiers' own tests. */
const CORPUS = path.resolve(import.meta.dirname, '../../../evidence/fuzz/corpus')

const text = (name, mimeType, content) => ({ name, mimeType, buffer: Buffer.from(content) })

export const portalTests = {
  'the portal opens, in Chinese, and is accessible': async (t) => {
    await open(t)
    assert.equal(await t.page.locator('html').getAttribute('lang'), 'zh-CN')
    await t.page.getByRole('heading', { name: '核验电子合同的签署证明' }).waitFor()
    await accessible(t)
    await shot(t, 'portal')
  },

  'a good certificate is valid, with its witness and its timestamp, and names the organisations that finalised it': async (t) => {
    await open(t)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID')
    await sheet.getByRole('heading', { name: '校验通过', exact: true }).waitFor()
    assert.equal(await sheet.locator('[data-testid=anchor][data-relied=true]').count(), 1)
    assert.equal(await sheet.locator('[data-testid=cosigner][data-outside=true]').count(), 1)
    assert.match(await sheet.getByTestId('trust-witnesses').innerText(), /由本机构选定\s+SHA-256 [0-9a-f]{8} /)
    assert.match(await t.page.getByTestId('announcement').innerText(), /核验结论：校验通过/)
    assert.equal((await focused(t)).tag, 'H1', 'the verdict does not get the focus')
    // A block is final once more than two thirds of the four signed: three or all of them are named.
    const organisations = await sheet.getByTestId('organisation').count()
    assert.ok(organisations === 3 || organisations === 4, `${organisations} organisations`)
    const steps = await sheet.getByTestId('step').evaluateAll((all) => all.map((step) => step.dataset.status))
    assert.deepEqual(steps, Array(11).fill('pass'))
    assert.ok((await sheet.getByTestId('event').count()) > 0, 'no event is listed')
    assert.match(await sheet.innerText(), /\(UTC[+-]\d\d:\d\d\)/)
    console.log(`      verified in ${Number(await sheet.getByTestId('elapsed').getAttribute('data-ms')).toFixed(1)} ms (WASM)`)
    await accessible(t)
    await shot(t, 'certificate-zh')
    await t.page.getByRole('button', { name: 'English' }).click()
    await sheet.getByRole('heading', { name: 'Valid', exact: true }).waitFor()
    assert.equal(await t.page.locator('html').getAttribute('lang'), 'en')
    await accessible(t)
    await shot(t, 'certificate-en')
  },

  'a portal without trust inputs says that the timestamp does not count; the reader’s own inputs make it count': async (t) => {
    await open(t, '', t.courtPortal)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID-UNANCHORED')
    await sheet.getByRole('heading', { name: '校验通过·附有第三方时间戳，未获采信', exact: true }).waitFor()
    await sheet.getByTestId('trust-hint').waitFor()
    assert.equal(await sheet.locator('[data-testid=anchor][data-relied=true]').count(), 0)
    await accessible(t)
    await shot(t, 'unanchored')
    await again(t)
    await giveTrust(t)
    await accessible(t)
    await shot(t, 'trust')
    await choose(t, t.cert)
    const valid = await verdict(t, 'VALID')
    assert.match(await valid.getByTestId('trust-tsa').innerText(), /您选择的文件：tsa-root\.pem/)
  },

  'a file that is no policy or no root is refused and the choice before stays': async (t) => {
    await open(t)
    const panel = t.page.getByTestId('trust')
    await panel.locator('summary').click()
    await t.page.getByTestId('policy-input').setInputFiles(text('policy.txt', 'text/plain', 'witness x'))
    await panel.getByTestId('trust-refused').getByText('不是见证策略').waitFor()
    await t.page.getByTestId('roots-input').setInputFiles(text('root.pem', 'text/plain', 'no root'))
    await panel.getByTestId('trust-refused').getByText('没有 PEM 格式的证书').waitFor()
    await accessible(t)
    await shot(t, 'trust-refused')
    // Another witness's policy: nobody in it has cosigned.
    const policy = readFileSync(t.witnessPolicy, 'utf8')
    await t.page.getByTestId('policy-input').setInputFiles(text('other.txt', 'text/plain', policy.replace(/^(witness .*\n)/m, '').replace(/^quorum .*$/m, 'quorum none')))
    await panel.getByTestId('trust-witnesses').getByText('您选择的文件：other.txt').waitFor()
    await panel.getByRole('button', { name: '恢复为本机构的选择' }).click()
    await choose(t, t.cert)
    await verdict(t, 'VALID')
  },

  'every tampered file is invalid, with the failed step named': async (t) => {
    await open(t)
    for (const [position, file] of t.tampered.entries()) {
      await choose(t, file)
      const sheet = await verdict(t, 'INVALID')
      await sheet.getByRole('heading', { name: '校验不通过' }).waitFor()
      assert.match(await t.page.getByTestId('announcement').innerText(), /校验不通过/)
      assert.match(await sheet.getByTestId('failed-step').innerText(), /第 \d+ 步未通过：\S+/, file)
      assert.equal(await sheet.getByTestId('organisation').count(), 0, 'claims of an invalid file are shown')
      assert.equal(await sheet.getByTestId('later').count(), 0, 'ids of an invalid file are asked for')
      if (position === 0) await accessible(t)
      await shot(t, `tampered-${position + 1}`)
      await again(t)
      assert.equal((await focused(t)).tag, 'H1', 'the focus is lost')
    }
  },

  'a contract together with its proof bundle is valid': async (t) => {
    await open(t)
    await choose(t, t.contract, t.proof)
    const sheet = await verdict(t, 'VALID-UNANCHORED')
    assert.match(await sheet.innerText(), new RegExp(path.basename(t.proof).replaceAll('.', '\\.')))
    await shot(t, 'contract')
    await again(t)
    await choose(t, t.proof)
    await verdict(t, 'VALID-UNANCHORED')
  },

  'a contract without its proof: its signatures are examined, and the reader is told what to add': async (t) => {
    await open(t)
    await choose(t, t.contract)
    const sheet = await verdict(t, 'intact')
    assert.equal(await sheet.getAttribute('data-kind'), 'pdf')
    assert.match(await t.page.getByTestId('announcement').innerText(), /PDF 电子签名检查：签名完好/)
    assert.equal((await focused(t)).tag, 'H1', 'the verdict does not get the focus')
    await sheet.getByText('证据包（.qzproof）一并核验').waitFor()
    const signatures = sheet.getByTestId('pdf-signature')
    assert.ok((await signatures.count()) >= 2, 'not every party is shown')
    for (const one of await signatures.all()) {
      assert.equal(await one.getAttribute('data-status'), 'intact')
      for (const said of [/第 \d+ 版，共 \d+ 版/, /覆盖/, /签署之后的改动/, /算法/]) assert.match(await one.innerText(), said)
    }
    // Validation data stand behind the last signature.
    await signatures.last().getByText('补充了长期验证数据').waitFor()
    assert.equal(await sheet.locator('[data-testid=pdf-later]:not([data-weight=expected])').count(), 0)
    await accessible(t)
    await shot(t, 'contract-alone')
    await sheet.getByTestId('proof-input').setInputFiles(t.proof)
    await t.page.locator('[data-verdict=VALID-UNANCHORED]').waitFor()
  },

  'any signed PDF is examined: what was changed after a signature is named': async (t) => {
    await open(t)
    for (const [file, expected, status] of [
      ['examined/certification-eaa-stamp-p3.pdf', 'changed', 'changed'],
      ['examined/honest-certified-2-filled.pdf', 'caution', 'caution'],
      ['examined/universal-forgery-range-huge.pdf', 'invalid', 'broken'],
      ['pdf/unsigned.pdf', 'unsigned', null],
    ]) {
      await choose(t, path.join(CORPUS, file))
      const sheet = await verdict(t, expected)
      assert.equal(await sheet.getAttribute('data-kind'), 'pdf')
      await sheet.getByTestId('pdf-scope').waitFor()
      const found = sheet.locator(`[data-testid=pdf-signature][data-status=${status}]`)
      assert.equal((await found.count()) > 0, status !== null, file)
      if (status === 'changed') assert.ok((await found.first().locator('[data-weight=forbidden]').count()) > 0, 'no change is named')
      await accessible(t)
      await shot(t, `pdf-${expected}`)
      await again(t)
    }
    await t.page.getByRole('button', { name: 'English' }).click()
    await choose(t, path.join(CORPUS, 'examined/honest-certified-2-filled.pdf'))
    await (await verdict(t, 'caution')).getByText('filling in and signing').waitFor()
    await accessible(t)
  },

  'another genesis is refused': async (t) => {
    await open(t)
    const genesis = readFileSync(t.genesis)
    genesis[genesis.length >> 1] ^= 1
    await t.page.getByTestId('genesis').locator('summary').click()
    await t.page.getByTestId('genesis-input').setInputFiles({ name: 'other.qz', mimeType: 'application/octet-stream', buffer: genesis })
    await t.page.getByText('您选择的创世文件：other.qz').waitFor()
    await accessible(t)
    await shot(t, 'genesis')
    await choose(t, t.cert)
    const sheet = await verdict(t, 'INVALID')
    const step = Number(await sheet.getByTestId('failed-step').getAttribute('data-step'))
    assert.ok(step <= 2, `failed at step ${step}`)
  },

  'a file dropped on the zone is verified; one that misses it does nothing': async (t) => {
    await open(t)
    const bytes = [...readFileSync(t.cert)]
    const transfer = await t.page.evaluateHandle((content) => {
      const data = new DataTransfer()
      data.items.add(new File([new Uint8Array(content)], 'dropped.pdf', { type: 'application/pdf' }))
      return data
    }, bytes)
    await t.page.dispatchEvent('footer', 'drop', { dataTransfer: transfer })
    await t.page.getByTestId('drop-zone').waitFor()
    await t.page.dispatchEvent('[data-testid=drop-zone]', 'drop', { dataTransfer: transfer })
    await verdict(t, 'VALID')
  },

  'files can be chosen, and the verdict read and left, with the keyboard alone': async (t) => {
    await open(t)
    const chooser = t.page.waitForEvent('filechooser')
    const reach = async (wanted) => {
      for (let presses = 0; presses < 20; presses++) {
        await t.page.keyboard.press('Tab')
        if ((await focused(t)).text.includes(wanted)) return
      }
      assert.fail(`“${wanted}” is not reached by the keyboard`)
    }
    await reach('选择文件')
    await t.page.keyboard.press('Enter')
    await (await chooser).setFiles(t.cert)
    await verdict(t, 'VALID')
    assert.equal((await focused(t)).tag, 'H1', 'the verdict does not get the focus')
    await reach('查询此后有无变更')
    await t.page.keyboard.press('Shift+Tab')
    for (let presses = 0; presses < 10 && !(await focused(t)).text.includes('核验其他文件'); presses++) await t.page.keyboard.press('Shift+Tab')
    await t.page.keyboard.press('Enter')
    await t.page.getByTestId('drop-zone').waitFor()
    assert.equal((await focused(t)).tag, 'H1', 'the focus is lost on the way back')
  },

  'what is no PDF, no proof and no package is refused in words': async (t) => {
    await open(t)
    await choose(t, text('note.txt', 'text/plain', 'note'))
    await t.page.getByTestId('problem').getByText('“note.txt”不是 PDF').waitFor()
    await accessible(t)
    await shot(t, 'refused')
    await choose(t, text('noise.pdf', 'application/pdf', '%PDF-1.7 noise'))
    await verdict(t, 'INVALID')
    await again(t)
    await choose(t, text('package.zip', 'application/zip', 'PK\u0003\u0004 noise'))
    const sheet = await verdict(t, 'INVALID')
    assert.equal(await sheet.getByTestId('failed-step').getAttribute('data-step'), '1')
    await accessible(t)
    await shot(t, 'package-damaged')
  },

  'a court package is verified whole and contract by contract; an altered one is refused': async (t) => {
    await open(t)
    await choose(t, t.package)
    const sheet = await verdict(t, 'VALID')
    assert.equal(await sheet.getAttribute('data-kind'), 'court-package')
    const contract = sheet.getByTestId('package-contract').first()
    assert.ok((await contract.getByTestId('organisation').count()) >= 3)
    assert.ok((await sheet.getByTestId('package-file').count()) >= 5)
    await contract.getByTestId('later-ask').click()
    await contract.getByTestId('later-summary').waitFor()
    await accessible(t)
    await fits(t)
    await shot(t, 'package')
    await again(t)
    const altered = readFileSync(t.package)
    altered[altered.length >> 1] ^= 1
    await choose(t, { name: 'package.zip', mimeType: 'application/zip', buffer: altered })
    const refused = await verdict(t, 'INVALID')
    assert.match(await refused.getByTestId('failed-step').innerText(), /第 \d+ 项检查未通过/)
    assert.equal(await refused.getByTestId('package-contract').count(), 0, 'claims of an invalid package are shown')
    await shot(t, 'package-altered')
  },

  'a copy of the contract can be compared': async (t) => {
    await open(t)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID')
    await sheet.getByTestId('compare-input').setInputFiles(t.contract)
    await sheet.getByTestId('comparison').getByText('摘要一致').waitFor()
    await sheet.getByTestId('compare-input').setInputFiles(t.cert)
    await sheet.getByTestId('comparison').getByText('任何摘要都不一致').waitFor()
  },

  'the QR code of a certificate opens the portal and shows only that it was issued': withSettings({ quiet: true }, async (t) => {
    await open(t, `verify?no=${t.number}`)
    await t.page.getByTestId('qr-notice').getByText(`编号为 ${t.number}`).waitFor()
    const found = t.page.getByTestId('lookup-found')
    await found.getByText('合同各方没有公开其他内容').waitFor()
    await accessible(t)
    await shot(t, 'qr')
    await t.page.getByLabel('证明编号').fill('QZ-2026-AAAAAAAA')
    await t.page.keyboard.press('Enter')
    await t.page.getByTestId('lookup-result').getByText('没有此编号').waitFor()
    await t.page.getByLabel('证明编号').fill('<b>x</b>')
    await t.page.getByRole('button', { name: '查询', exact: true }).click()
    await t.page.getByTestId('lookup-result').getByText('这不像证明编号').waitFor()
    await accessible(t)
    await open(t, `verify?no=${encodeURIComponent('<b>x</b>')}`)
    assert.equal(await t.page.getByTestId('qr-notice').count(), 0, 'a number that is none is shown')
    // A portal without a register leads to the one that has it.
    await open(t, `verify?no=${t.number}`, t.courtPortal)
    const link = t.page.getByTestId('lookup').getByRole('link')
    assert.equal(await link.getAttribute('href'), `${t.portal}/verify?no=${t.number}`)
  }),

  'the verdict prints as a document without controls': async (t) => {
    await open(t)
    await choose(t, t.cert)
    await verdict(t, 'VALID')
    await t.page.emulateMedia({ media: 'print' })
    for (const name of ['打印核验结果', '查询此后有无变更', '比对您手中的文件']) {
      assert.ok(!(await t.page.getByRole('button', { name }).isVisible()), `“${name}” is printed`)
    }
    await t.page.getByText('电子合同证据核验结果').waitFor()
    await t.page.pdf({ path: path.join(t.out, 'verdict.pdf'), preferCSSPageSize: true, printBackground: true })
  },

  'it fits a phone': withSettings({ viewport: PHONE }, async (t) => {
    await open(t)
    await fits(t)
    await accessible(t)
    await shot(t, 'phone-portal')
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID')
    await sheet.getByTestId('later-ask').click()
    await sheet.getByTestId('later-summary').waitFor()
    await fits(t)
    await accessible(t)
    await shot(t, 'phone-certificate')
    await again(t)
    await choose(t, t.tampered[0])
    await verdict(t, 'INVALID')
    await fits(t)
    await shot(t, 'phone-tampered')
    await again(t)
    await choose(t, t.contract)
    await verdict(t, 'intact')
    await fits(t)
    await accessible(t)
    await shot(t, 'phone-pdf')
    await open(t, `verify?no=${t.number}`)
    await t.page.getByTestId('lookup-found').waitFor()
    await fits(t)
    await shot(t, 'phone-qr')
  }),
}
