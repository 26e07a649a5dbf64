/** The page of a member's operators: its token, what is pending, what was done, and the commands. */
import assert from 'node:assert/strict'
import { accessible, fits, PHONE, shot, withSettings } from './harness.mjs'

async function enter(t, token = t.organisationToken) {
  await t.page.goto(t.organisation)
  await t.page.getByLabel('运维令牌').fill(token)
  await t.page.keyboard.press('Enter')
}

/** Waits for the overview of the court, whose case is pending. */
async function overview(t) {
  await t.page.getByRole('heading', { level: 1, name: '演示互联网法院' }).waitFor()
  await t.page.getByTestId('pending').first().waitFor()
}

export const organisationTests = {
  'the operators’ page wants its token, and forgets a wrong one': withSettings({ quiet: true }, async (t) => {
    await t.page.goto(t.organisation)
    await accessible(t)
    await shot(t, 'organisation-token')
    await enter(t, 'qzo_wrong')
    await t.page.getByRole('alert').getByText('令牌').waitFor()
    assert.equal(await t.page.getByTestId('pending').count(), 0)
    await accessible(t)
    await t.page.reload()
    await t.page.getByLabel('运维令牌').waitFor()
    assert.equal((await fetch(new URL('v1/organisation', t.organisation))).status, 401)
  }),

  'operators of the court see its node, the pending case, what concerns it, and the commands for it': async (t) => {
    await enter(t)
    await overview(t)
    assert.match(await t.page.locator('dl.cards').innerText(), /状态\s+正常/)
    const records = t.page.getByRole('region').locator('tbody tr')
    const kinds = await records.locator('code').allInnerTexts()
    for (const kind of ['contract.disputed', 'retrieval.made']) assert.ok(kinds.includes(kind), kinds.join(' '))
    const pending = await t.page.getByTestId('pending').first().innerText()
    const contract = pending.match(/[0-9a-f]{64}/)?.[0]
    assert.ok(pending.includes(`qz-client rule --home`) && pending.includes(`--contract ${contract} --form judgment`), pending)
    assert.ok(pending.includes('qz-client retrieve --home'), pending)
    const commands = await t.page.locator('main > code.command').allInnerTexts()
    assert.deepEqual(commands.map((line) => line.split(' ')[1]), ['watch', 'deposit', 'rule', 'retrieve'])
    await accessible(t)
    await fits(t)
    await shot(t, 'organisation')
    // Within the tab the token is kept; the page changes nothing and loads nothing from elsewhere.
    await t.page.reload()
    await overview(t)
    await t.page.getByRole('button', { name: 'English' }).click()
    await t.page.getByRole('heading', { level: 1, name: 'Demo Internet Court' }).waitFor()
    await accessible(t)
    await shot(t, 'organisation-en')
  },

  'the operators’ page fits a phone': withSettings({ viewport: PHONE }, async (t) => {
    await enter(t)
    await overview(t)
    await fits(t)
    await accessible(t)
    await shot(t, 'phone-organisation')
  }),

  'when the node’s page is away the operators are told': withSettings({ quiet: true }, async (t) => {
    await enter(t)
    await overview(t)
    t.wire.down = true
    await t.page.getByRole('alert').waitFor()
    await accessible(t)
    await shot(t, 'organisation-away')
    t.wire.down = false
    await t.page.getByRole('alert').waitFor({ state: 'detached' })
  }),
}
