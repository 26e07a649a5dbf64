/** What every browser test begins and ends with: inputs, a page of its own, and what must hold after each. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import { uploadIn } from './wire.mjs'

export const DESKTOP = { width: 1280, height: 900 }
export const PHONE = { width: 390, height: 844 }

function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

function readable(file) {
  readFileSync(file)
  return path.resolve(file)
}

/** From the environment (head of `run.mjs`); whatever is missing fails the run. */
export function inputs() {
  const tampered = required('TAMPERED').split(':').filter(Boolean).map(readable)
  if (tampered.length === 0) throw new Error('TAMPERED names no file')
  const out = required('OUT')
  mkdirSync(out, { recursive: true })
  const [portal, courtPortal, organisation] = ['PORTAL_URL', 'COURT_PORTAL_URL', 'ORGANISATION_URL'].map(required)
  return {
    portal,
    courtPortal,
    organisation,
    /** Whom a page may speak with. */
    hosts: [portal, courtPortal, organisation],
    organisationToken: required('ORGANISATION_TOKEN'),
    cert: readable(required('CERT')),
    number: required('NUMBER'),
    contract: readable(required('CONTRACT')),
    proof: readable(required('PROOF')),
    earlyProof: readable(required('EARLY_PROOF')),
    genesis: readable(required('GENESIS')),
    package: readable(required('PACKAGE')),
    witnessPolicy: readable(required('WITNESS_POLICY')),
    tsaRoot: readable(required('TSA_ROOT')),
    tampered,
    out,
    browser: process.env.CHROMIUM || execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' }).trim(),
  }
}

/** Opens the portal and waits until it takes files. */
export async function open(t, address = '', portal = t.portal) {
  await t.page.goto(new URL(address, portal).href)
  await t.page.getByTestId('file-input').waitFor({ state: 'attached' })
}

export const choose = (t, ...files) => t.page.getByTestId('file-input').setInputFiles(files)

/** Brings the reader's own trust inputs, as a court does. */
export async function giveTrust(t) {
  const panel = t.page.getByTestId('trust')
  await panel.locator('summary').click()
  await t.page.getByTestId('policy-input').setInputFiles(t.witnessPolicy)
  await t.page.getByTestId('roots-input').setInputFiles(t.tsaRoot)
  for (const kind of ['trust-witnesses', 'trust-tsa']) await panel.getByTestId(kind).getByText('您选择的文件').waitFor()
}

export const again = (t) => t.page.getByRole('button', { name: '核验其他文件' }).click()

/** Waits for the verdict and returns its element. */
export async function verdict(t, expected) {
  const sheet = t.page.getByTestId('verdict')
  await sheet.waitFor({ timeout: 30_000 })
  const found = await sheet.getAttribute('data-verdict')
  const conclusion = await sheet.locator('.conclusion').innerText()
  assert.equal(found, expected, `${found} instead of ${expected}: ${conclusion.replace(/\s+/g, ' ')}`)
  return sheet
}

export async function accessible(t) {
  const { violations } = await new AxeBuilder({ page: t.page }).analyze()
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.map((node) => node.html).join('\n  ')}`)
  assert.deepEqual(found, [])
}

export async function fits(t) {
  const overflow = await t.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  assert.ok(overflow <= 0, `the page is ${overflow} px wider than the screen`)
}

/** The tag and text of what has the focus. */
export const focused = (t) =>
  t.page.evaluate(() => ({ tag: document.activeElement?.tagName, text: document.activeElement?.textContent ?? '' }))

export const shot = (t, name) => t.page.screenshot({ path: path.join(t.out, `${name}.png`), fullPage: true })

/** Waits until the service worker answers for the page. */
export const controlled = (t) =>
  t.page.evaluate(async () => {
    await navigator.serviceWorker.ready
    if (navigator.serviceWorker.controller !== null) return
    await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }))
  })

/** A test with settings: `viewport`, `expectUploads`, `bypassCSP`, `quiet` (console errors are expected). */
export const withSettings = (settings, test) => Object.assign(test, settings)

/** One test in a context of its own: it also fails by an error on the console, a foreign host or an upload. */
export async function runOne(browser, given, wire, test) {
  wire.seen.length = 0
  wire.down = false
  wire.alter = null
  const context = await browser.newContext({
    viewport: test.viewport ?? DESKTOP,
    timezoneId: 'Asia/Shanghai',
    acceptDownloads: true,
    bypassCSP: test.bypassCSP ?? false,
  })
  const page = await context.newPage()
  page.setDefaultTimeout(15_000)
  const troubles = []
  page.on('pageerror', (error) => troubles.push(`page error: ${error.message}`))
  page.on('console', (message) => message.type() === 'error' && !test.quiet && troubles.push(`console: ${message.text()}`))
  try {
    await test({ ...given, page, context, wire })
    assert.deepEqual(troubles, [])
    if (!test.expectUploads) assert.equal(uploadIn(wire.seen, given.hosts), null)
  } catch (error) {
    await page.screenshot({ path: path.join(given.out, 'failure.png'), fullPage: true }).catch(() => {})
    error.message += troubles.map((trouble) => `\n  ${trouble}`).join('')
    throw error
  } finally {
    await context.close()
  }
}
