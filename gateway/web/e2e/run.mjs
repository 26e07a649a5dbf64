/**
 * Browser tests of the public portal against a running gateway: what a person does, in Debian's
 * Chromium, with real files.
 *
 *   PORTAL_URL  address of the portal          CERT      a good signing certificate
 *   CONTRACT    a signed contract (PDF)        PROOF     its .qzproof
 *   TAMPERED    altered copies, separated by ':'         OUT  folder for screenshots
 *
 * All are required, and so is `chromium` on the path (or in $CHROMIUM): what is missing fails the run.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { chromium } from 'playwright-core'
import { startRelay, uploadIn } from './wire.mjs'

const DESKTOP = { width: 1280, height: 900 }
const PHONE = { width: 390, height: 844 }
const FLAGS =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'

function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

function readable(file) {
  readFileSync(file)
  return path.resolve(file)
}

function inputs() {
  const tampered = required('TAMPERED').split(':').filter(Boolean).map(readable)
  if (tampered.length === 0) throw new Error('TAMPERED names no file')
  const out = required('OUT')
  mkdirSync(out, { recursive: true })
  return {
    portal: required('PORTAL_URL'),
    cert: readable(required('CERT')),
    contract: readable(required('CONTRACT')),
    proof: readable(required('PROOF')),
    tampered,
    out,
    browser: process.env.CHROMIUM || execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
  }
}

/** Opens the portal and waits until it takes files. */
async function open(t, address = '') {
  await t.page.goto(new URL(address, t.relay.origin).href)
  await t.page.getByTestId('file-input').waitFor({ state: 'attached' })
}

async function choose(t, ...files) {
  await t.page.getByTestId('file-input').setInputFiles(files)
}

/** Waits for the verdict and returns its element. */
async function verdict(t, expected) {
  const sheet = t.page.getByTestId('verdict')
  await sheet.waitFor({ timeout: 30_000 })
  const found = await sheet.getAttribute('data-verdict')
  const conclusion = await sheet.locator('.conclusion').innerText()
  assert.equal(found, expected, `${found} instead of ${expected}: ${conclusion.replace(/\s+/g, ' ')}`)
  return sheet
}

async function accessible(t) {
  const { violations } = await new AxeBuilder({ page: t.page }).analyze()
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => node.html).join('\n  ')}`)
  assert.deepEqual(found, [])
}

async function fits(t) {
  const overflow = await t.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.ok(overflow <= 0, `the page is ${overflow} px wider than the screen`)
}

const shot = (t, name) => t.page.screenshot({ path: path.join(t.out, `${name}.png`), fullPage: true })

const tests = {
  'the portal opens, in Chinese, and is accessible': async (t) => {
    await open(t)
    assert.equal(await t.page.locator('html').getAttribute('lang'), 'zh-CN')
    await t.page.getByRole('heading', { name: '核验电子合同的签署证明' }).waitFor()
    await accessible(t)
    await shot(t, 'portal')
  },

  'a good certificate is valid, without anchor, and names the organisations that finalised it': async (t) => {
    await open(t)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID-UNANCHORED')
    await sheet.getByRole('heading', { name: '校验通过·未附第三方时间戳' }).waitFor()
    // A block is final once more than two thirds of the four signed: three or all of them are named.
    const organisations = await sheet.getByTestId('organisation').count()
    assert.ok(organisations === 3 || organisations === 4, `${organisations} organisations`)
    const steps = await sheet.getByTestId('step').evaluateAll((all) => all.map((step) => step.dataset.status))
    assert.ok(steps.filter((status) => status === 'pass').length >= 9, steps.join(' '))
    assert.ok(!steps.includes('fail'), steps.join(' '))
    assert.ok((await sheet.getByTestId('event').count()) > 0, 'no event is listed')
    assert.match(await sheet.innerText(), /\(UTC[+-]\d\d:\d\d\)/)
    await accessible(t)
    await shot(t, 'certificate-zh')
    await t.page.getByRole('button', { name: 'English' }).click()
    await sheet.getByRole('heading', { name: 'Valid · no third-party timestamp' }).waitFor()
    assert.equal(await t.page.locator('html').getAttribute('lang'), 'en')
    await accessible(t)
    await shot(t, 'certificate-en')
  },

  'every tampered file is invalid, with the failed step named': async (t) => {
    await open(t)
    for (const [position, file] of t.tampered.entries()) {
      await choose(t, file)
      const sheet = await verdict(t, 'INVALID')
      await sheet.getByRole('heading', { name: '校验不通过' }).waitFor()
      const failed = sheet.getByTestId('failed-step')
      assert.match(await failed.innerText(), /第 \d+ 步未通过：\S+/, file)
      assert.equal(await sheet.getByTestId('organisation').count(), 0, 'claims of an invalid file are shown')
      if (position === 0) await accessible(t)
      await shot(t, `tampered-${position + 1}`)
      await t.page.getByRole('button', { name: '核验其他文件' }).click()
    }
  },

  'a contract together with its proof bundle is valid': async (t) => {
    await open(t)
    await choose(t, t.contract, t.proof)
    const sheet = await verdict(t, 'VALID-UNANCHORED')
    assert.match(await sheet.innerText(), new RegExp(path.basename(t.proof).replaceAll('.', '\\.')))
    await shot(t, 'contract')
  },

  'a proof bundle alone is verified': async (t) => {
    await open(t)
    await choose(t, t.proof)
    await verdict(t, 'VALID-UNANCHORED')
  },

  'a contract without its proof is invalid and the reader is told what to add': async (t) => {
    await open(t)
    await choose(t, t.contract)
    const sheet = await verdict(t, 'INVALID')
    await sheet.getByText('证据包（.qzproof）一并选择').waitFor()
    await accessible(t)
    await sheet.getByTestId('proof-input').setInputFiles(t.proof)
    await t.page.locator('[data-verdict=VALID-UNANCHORED]').waitFor()
  },

  'another genesis is refused': async (t) => {
    await open(t)
    const genesis = Buffer.from(await (await fetch(new URL('portal/genesis.qz', t.relay.origin))).arrayBuffer())
    genesis[genesis.length >> 1] ^= 1
    await t.page.getByTestId('genesis').locator('summary').click()
    await t.page.getByTestId('genesis-input').setInputFiles({ name: 'other.qz', mimeType: 'application/octet-stream', buffer: genesis })
    await t.page.getByText('您选择的创世文件：other.qz').waitFor()
    await accessible(t)
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
    await verdict(t, 'VALID-UNANCHORED')
  },

  'files can be chosen with the keyboard alone': async (t) => {
    await open(t)
    const chooser = t.page.waitForEvent('filechooser')
    for (let presses = 0; presses < 10; presses++) {
      await t.page.keyboard.press('Tab')
      if (await t.page.evaluate(() => document.activeElement?.textContent?.includes('选择文件'))) break
    }
    await t.page.keyboard.press('Enter')
    await (await chooser).setFiles(t.cert)
    await verdict(t, 'VALID-UNANCHORED')
    const focused = await t.page.evaluate(() => document.activeElement?.tagName)
    assert.equal(focused, 'H1', 'the verdict does not get the focus')
  },

  'what is no PDF and no proof is refused in words': async (t) => {
    await open(t)
    await choose(t, { name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('note') })
    await t.page.getByTestId('problem').getByText('“note.txt”不是 PDF').waitFor()
    await accessible(t)
    await choose(t, { name: 'noise.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7 noise') })
    await verdict(t, 'INVALID')
  },

  'nothing is sent while a file is verified, and it works offline': async (t) => {
    await open(t)
    await t.page.waitForLoadState('networkidle')
    const before = t.relay.seen.length
    await t.page.context().setOffline(true)
    await choose(t, t.cert)
    await verdict(t, 'VALID-UNANCHORED')
    await t.page.context().setOffline(false)
    await t.page.getByRole('button', { name: '核验其他文件' }).click()
    await choose(t, t.contract, t.proof)
    await verdict(t, 'VALID-UNANCHORED')
    await t.page.waitForTimeout(500)
    assert.deepEqual(t.relay.seen.slice(before).map(({ method, url }) => `${method} ${url}`), [])
  },

  'a copy of the contract can be compared': async (t) => {
    await open(t)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID-UNANCHORED')
    await sheet.getByTestId('compare-input').setInputFiles(t.contract)
    await sheet.getByTestId('comparison').getByText('摘要一致').waitFor()
    await sheet.getByTestId('compare-input').setInputFiles(t.cert)
    await sheet.getByTestId('comparison').getByText('任何摘要都不一致').waitFor()
  },

  'the QR code of a certificate leads to an explanation': async (t) => {
    await open(t, 'verify?no=QZ-2026-0001')
    await t.page.getByTestId('qr-notice').getByText('编号为 QZ-2026-0001').waitFor()
    await accessible(t)
    await shot(t, 'qr')
    await open(t, `verify?no=${encodeURIComponent('<b>x</b>')}`)
    assert.equal(await t.page.getByTestId('qr-notice').count(), 0, 'a number that is none is shown')
  },

  'the verdict prints without controls': async (t) => {
    await open(t)
    await choose(t, t.cert)
    await verdict(t, 'VALID-UNANCHORED')
    await t.page.emulateMedia({ media: 'print' })
    assert.ok(!(await t.page.getByRole('button', { name: '打印核验结果' }).isVisible()))
    await t.page.pdf({ path: path.join(t.out, 'verdict.pdf'), preferCSSPageSize: true, printBackground: true })
  },

  'it fits a phone': Object.assign(
    async (t) => {
      await open(t)
      await fits(t)
      await accessible(t)
      await shot(t, 'phone-portal')
      await choose(t, t.cert)
      await verdict(t, 'VALID-UNANCHORED')
      await fits(t)
      await accessible(t)
      await shot(t, 'phone-certificate')
      await t.page.getByRole('button', { name: '核验其他文件' }).click()
      await choose(t, t.tampered[0])
      await verdict(t, 'INVALID')
      await fits(t)
      await shot(t, 'phone-tampered')
    },
    { viewport: PHONE },
  ),
}

/** One test in a context of its own: it also fails by an error on the console, a foreign host or an upload. */
async function runOne(browser, given, test) {
  const relay = await startRelay(given.portal)
  const context = await browser.newContext({ viewport: test.viewport ?? DESKTOP, timezoneId: 'Asia/Shanghai' })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const troubles = []
  page.on('pageerror', (error) => troubles.push(`page error: ${error.message}`))
  page.on('console', (message) => message.type() === 'error' && troubles.push(`console: ${message.text()}`))
  context.on('request', (request) => {
    const { protocol, origin } = new URL(request.url())
    if (protocol.startsWith('http') && origin !== relay.origin) troubles.push(`request to ${origin}`)
    if (request.postDataBuffer() !== null) troubles.push(`request with a body to ${request.url()}`)
  })
  try {
    await test({ ...given, page, relay })
    assert.deepEqual(troubles, [])
    assert.ok(relay.seen.length > 0, 'the relay saw no request')
    assert.equal(uploadIn(relay.seen), null)
  } catch (error) {
    await page.screenshot({ path: path.join(given.out, 'failure.png'), fullPage: true }).catch(() => {})
    error.message += troubles.map((trouble) => `\n  ${trouble}`).join('')
    throw error
  } finally {
    await context.close()
    relay.close()
  }
}

async function main() {
  const given = inputs()
  const browser = await chromium.launch({ executablePath: given.browser, args: FLAGS.split(' '), downloadsPath: tmpdir() })
  let passed = 0
  let failed = 0
  try {
    for (const [name, test] of Object.entries(tests)) {
      try {
        await runOne(browser, given, test)
        passed++
        console.log(`ok    ${name}`)
      } catch (error) {
        failed++
        console.log(`FAIL  ${name}\n${error.message}`)
      }
    }
  } finally {
    await browser.close()
  }
  console.log(`screenshots: ${given.out}`)
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0 ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`e2e: ${error.message}`)
  console.log('0 passed, 1 failed')
  process.exitCode = 1
}
