/**
 * Browser tests of the public portal against running portals: what a person does, in Debian's Chromium,
 * with real files.
 *
 *   PORTAL_URL  portal of the issuer's gateway     COURT_PORTAL_URL  portal of another organisation
 *   CERT        a good signing certificate         NUMBER            its number
 *   CONTRACT    a signed contract (PDF)            PROOF             its .qzproof
 *   EARLY_PROOF an older .qzproof of the contract  GENESIS           the genesis document
 *   PACKAGE     a court package                    OUT               folder for screenshots
 *   WITNESS_POLICY  the policy of its witness      TSA_ROOT          the root of its timestamps
 *   ORGANISATION_URL  the court's operators' page     ORGANISATION_TOKEN  its token
 *   TAMPERED    altered copies, separated by ':'
 *
 * The issuer's portal gives its visitors these two trust inputs, the other organisation's portal none.
 *
 * All are required, and so is `chromium` on the path (or in $CHROMIUM): what is missing fails the run.
 * ONLY=text runs the tests whose name contains it.
 */
import { tmpdir } from 'node:os'
import { chromium } from 'playwright-core'
import { inputs, runOne } from './harness.mjs'
import { laterTests } from './later.mjs'
import { offlineTests } from './offline.mjs'
import { organisationTests } from './organisation.mjs'
import { portalTests } from './portal.mjs'
import { wireTests } from './wireTests.mjs'
import { startProxy } from './wire.mjs'

const FLAGS =
  '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync --force-webrtc-ip-handling-policy=disable_non_proxied_udp'

async function main() {
  const given = inputs()
  const wire = await startProxy(given.hosts)
  const browser = await chromium.launch({
    executablePath: given.browser,
    args: FLAGS.split(' '),
    downloadsPath: tmpdir(),
    // Loopback too: by itself the browser asks no proxy for it.
    proxy: { server: wire.address, bypass: '<-loopback>' },
  })
  const tests = { ...portalTests, ...laterTests, ...offlineTests, ...organisationTests, ...wireTests }
  let passed = 0
  let failed = 0
  try {
    for (const [name, test] of Object.entries(tests)) {
      if (!name.includes(process.env.ONLY ?? '')) continue
      const begun = Date.now()
      try {
        await runOne(browser, given, wire, test)
        passed++
        console.log(`ok    ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`)
      } catch (error) {
        failed++
        console.log(`FAIL  ${name}\n${error.message}`)
      }
    }
  } finally {
    await browser.close()
    wire.close()
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
