/** Whether anything happened later: asked of the node, verified here, and said in words. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { accessible, choose, focused, open, shot, verdict, withSettings } from './harness.mjs'

async function ask(t, sheet) {
  await sheet.getByTestId('later-ask').click()
  const summary = sheet.getByTestId('later-summary')
  await summary.waitFor()
  return summary.getAttribute('data-outcome')
}

const outcomes = (sheet) => sheet.getByTestId('later-subject').evaluateAll((all) => all.map((item) => item.dataset.outcome))

/** Saves the state proof of the contract to OUT and returns its path. */
export async function saveStateProof(t, sheet) {
  const download = t.page.waitForEvent('download')
  await sheet.getByRole('button', { name: /保存状态证明：合同/ }).first().click()
  const file = path.join(t.out, 'state.qzproof')
  await (await download).saveAs(file)
  return file
}

export const laterTests = {
  'an organisation of the reader’s choice proves that nothing happened later': async (t) => {
    // Not the issuer's portal: the one that the court runs beside its own node.
    await open(t, '', t.courtPortal)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID-UNANCHORED')
    const before = t.wire.seen.length
    assert.equal(await ask(t, sheet), 'nothing-later')
    const found = await outcomes(sheet)
    assert.ok(found.length >= 3 && found.every((outcome) => outcome === 'nothing-later' || outcome === 'later'), found.join(' '))
    assert.match(await sheet.getByTestId('later-summary').innerText(), /截至区块 \d+，20\d\d-/)
    assert.ok((await focused(t)).text.includes('没有更晚的记录'), 'the answer does not get the focus')
    // Only ids were sent.
    const asked = t.wire.seen.slice(before)
    assert.equal(asked.length, found.length)
    for (const { url } of asked) assert.match(new URL(url).pathname, /^\/api\/subjects\/[0-9a-f]{64}\/proof$/)
    await accessible(t)
    await shot(t, 'later-nothing')
  },

  'later records of the contract are found from older evidence': async (t) => {
    await open(t)
    await choose(t, t.earlyProof)
    const sheet = await verdict(t, 'VALID-UNANCHORED')
    assert.equal(await ask(t, sheet), 'later')
    await sheet.getByTestId('later-summary').getByText('合同此后另有记录').waitFor()
    assert.equal((await outcomes(sheet))[0], 'later')
    await sheet.getByText(/此后另有 \d+ 条记录/).first().waitFor()
    await accessible(t)
    await shot(t, 'later-records')
  },

  'a state proof can be kept, is verified when brought back, and refused when altered or of something else': async (t) => {
    await open(t)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID')
    await ask(t, sheet)
    const file = await saveStateProof(t, sheet)
    const bring = (...files) => sheet.getByTestId('later-input').setInputFiles(files)
    await bring(file)
    await sheet.locator('[data-testid=later-summary][data-outcome=nothing-later]').waitFor()
    assert.equal(await sheet.getByTestId('later-subject').count(), 1)
    const altered = readFileSync(file)
    altered[altered.length >> 1] ^= 1
    await bring({ name: 'altered.qzproof', mimeType: 'application/cbor', buffer: altered })
    await sheet.locator('[data-testid=later-summary][data-outcome=invalid]').waitFor()
    await accessible(t)
    await shot(t, 'later-invalid')
    await bring(t.earlyProof)
    await sheet.locator('[data-testid=later-summary][data-outcome=not-newer]').waitFor()
  },

  'a node’s answer that was altered on its way is not believed': withSettings({ quiet: true }, async (t) => {
    await open(t)
    await choose(t, t.cert)
    const sheet = await verdict(t, 'VALID')
    t.wire.alter = (_, body) => {
      body[body.length >> 1] ^= 1
      return { body }
    }
    assert.equal(await ask(t, sheet), 'invalid')
    // A page in the place of the proof, as a captive network gives it.
    t.wire.alter = () => ({ type: 'text/html', body: Buffer.from('<p>sign in') })
    await sheet.getByTestId('later-ask').click()
    await sheet.getByText('没有得到最新状态').waitFor()
    t.wire.alter = null
    t.wire.down = true
    await sheet.getByTestId('later-ask').click()
    await sheet.getByText('无法连接本站').waitFor()
    await verdict(t, 'VALID')
    await accessible(t)
    await shot(t, 'later-unreachable')
  }),
}
