/** Without a network: the page once it was loaded, and the single file that a court keeps. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { accessible, again, choose, controlled, fits, giveTrust, open, PHONE, shot, verdict, withSettings } from './harness.mjs'
import { saveStateProof } from './later.mjs'

const sha256 = (file) => createHash('sha256').update(readFileSync(file)).digest('hex')
const grouped = (hex) => hex.replace(/(.{8})(?=.)/g, '$1 ')

/** Downloads the single file as a person does. */
async function keepVerifier(t, portal = t.portal) {
  await open(t, '', portal)
  const download = t.page.waitForEvent('download')
  await t.page.getByTestId('download-verifier').click()
  const file = path.join(t.out, 'verifier.html')
  await (await download).saveAs(file)
  return file
}

/** Cuts the wire and opens the file from the disk. */
async function openFile(t, file) {
  t.wire.down = true
  t.wire.seen.length = 0
  await t.page.goto(pathToFileURL(file).href)
  await t.page.getByTestId('file-input').waitFor({ state: 'attached' })
}

async function verifiesEverything(t) {
  await choose(t, t.cert)
  const sheet = await verdict(t, 'VALID')
  assert.ok((await sheet.getByTestId('organisation').count()) >= 3)
  await again(t)
  await choose(t, t.contract, t.proof)
  await verdict(t, 'VALID-UNANCHORED')
  for (const file of t.tampered) {
    await again(t)
    await choose(t, file)
    const refused = await verdict(t, 'INVALID')
    assert.match(await refused.getByTestId('failed-step').innerText(), /第 \d+ 步未通过/)
  }
}

export const offlineTests = {
  'the page opens and verifies without a network once it was loaded': withSettings({ quiet: true }, async (t) => {
    await open(t)
    await controlled(t)
    t.wire.down = true
    await t.page.reload()
    await t.page.getByTestId('file-input').waitFor({ state: 'attached' })
    await verifiesEverything(t)
    // Opened anew, also by the address of a QR code.
    const page = await t.context.newPage()
    await page.goto(new URL(`verify?no=${t.number}`, t.portal).href)
    await page.getByTestId('qr-notice').waitFor()
    await page.getByTestId('file-input').setInputFiles(t.cert)
    await page.locator('[data-verdict=VALID]').waitFor()
    await page.close()
  }),

  'the manifest makes it an application': async (t) => {
    await open(t)
    const manifest = await t.page.evaluate(async () => (await fetch('manifest.webmanifest')).json())
    assert.equal(manifest.display, 'standalone')
    for (const icon of manifest.icons) {
      const status = await t.page.evaluate(async (src) => (await fetch(src)).status, icon.src)
      assert.equal(status, 200, icon.src)
    }
  },

  'the single file verifies from the disk, with the network off': async (t) => {
    const file = await keepVerifier(t)
    console.log(`      verifier.html: ${readFileSync(file).length} bytes`)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID')
    await sheet.getByTestId('later-ask').click()
    const state = await saveStateProof(t, sheet)
    await openFile(t, file)
    await accessible(t)
    await shot(t, 'file')
    await t.page.getByTestId('genesis').locator('summary').click()
    await t.page.getByText(grouped(sha256(t.genesis))).waitFor()
    assert.equal(await t.page.getByTestId('lookup').count() + (await t.page.getByTestId('keep').count()), 0)
    await verifiesEverything(t)
    await again(t)
    await choose(t, t.cert)
    const kept = await verdict(t, 'VALID')
    assert.match(await kept.getByTestId('trust-witnesses').innerText(), /随本文件保存/)
    assert.equal(await kept.getByTestId('later-ask').count(), 0)
    await kept.getByTestId('later-input').setInputFiles(state)
    await kept.locator('[data-testid=later-summary][data-outcome=nothing-later]').waitFor()
    await accessible(t)
    await shot(t, 'file-certificate')
    assert.deepEqual(t.wire.seen, [])
  },

  'the single file can open no connection, and takes a genesis of the reader’s': withSettings({ viewport: PHONE, quiet: true }, async (t) => {
    const file = await keepVerifier(t)
    await openFile(t, file)
    await fits(t)
    const outcome = await t.page.evaluate((portal) =>
      fetch(portal).then(() => 'done', () => 'refused'), t.portal)
    assert.equal(outcome, 'refused')
    assert.deepEqual(t.wire.seen, [])
    await t.page.getByTestId('genesis').locator('summary').click()
    await t.page.getByTestId('genesis-input').setInputFiles(t.genesis)
    await t.page.getByText('您选择的创世文件：').waitFor()
    await choose(t, t.cert)
    await verdict(t, 'VALID')
    await fits(t)
    await accessible(t)
    await shot(t, 'phone-file')
  }),

  'a single file served without trust inputs takes the reader’s, with the network off': withSettings({ viewport: PHONE, quiet: true }, async (t) => {
    const file = await keepVerifier(t, t.courtPortal)
    await openFile(t, file)
    await choose(t, t.cert)
    await verdict(t, 'VALID-UNANCHORED')
    await fits(t)
    await again(t)
    await giveTrust(t)
    await fits(t)
    await accessible(t)
    await shot(t, 'phone-file-trust')
    await choose(t, t.cert)
    await verdict(t, 'VALID')
    assert.deepEqual(t.wire.seen, [])
  }),
}
