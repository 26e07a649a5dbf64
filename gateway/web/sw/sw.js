/*
 * Keeps the page usable without a network. Files of the page come from the cache of their build; the
 * genesis and the site's description from the network, else as they were last seen.
 *
 * It answers only GET requests for these files. Everything else (proofs, look-ups) passes it by, and it
 * sends nothing of its own.
 */
const CACHE = 'qizheng-__VERSION__'
const FILES = __FILES__
const FRESH = ['portal/genesis.qz', 'portal/site.json']

const scope = new URL('./', self.location.href)
const address = (path) => new URL(path, scope).href
const files = new Set(FILES.map(address))
const fresh = new Set(FRESH.map(address))
const page = address('./')

async function install() {
  const cache = await caches.open(CACHE)
  await cache.addAll([...files].map((url) => new Request(url, { cache: 'reload', credentials: 'omit' })))
  // A portal without a genesis still serves its page.
  await Promise.all([...fresh].map((url) => refresh(cache, url).catch(() => undefined)))
  await self.skipWaiting()
}

async function activate() {
  const old = (await caches.keys()).filter((name) => name.startsWith('qizheng-') && name !== CACHE)
  await Promise.all(old.map((name) => caches.delete(name)))
  await self.clients.claim()
}

async function refresh(cache, url) {
  const response = await fetch(url, { cache: 'no-cache', credentials: 'omit' })
  if (response.ok) await cache.put(url, response.clone())
  return response
}

async function networkFirst(url) {
  const cache = await caches.open(CACHE)
  try {
    const response = await refresh(cache, url)
    if (response.ok) return response
    return (await cache.match(url)) ?? response
  } catch (error) {
    const kept = await cache.match(url)
    if (kept) return kept
    throw error
  }
}

async function cacheFirst(url) {
  const cache = await caches.open(CACHE)
  return (await cache.match(url)) ?? fetch(url)
}

self.addEventListener('install', (event) => event.waitUntil(install()))
self.addEventListener('activate', (event) => event.waitUntil(activate()))
self.addEventListener('fetch', (event) => {
  const { request } = event
  const url = new URL(request.url)
  url.search = ''
  url.hash = ''
  if (request.method !== 'GET' || url.origin !== scope.origin) return
  if (fresh.has(url.href)) return event.respondWith(networkFirst(url.href))
  const isPage = request.mode === 'navigate' && (url.href === page || url.href === address('verify'))
  if (isPage) return event.respondWith(networkFirst(page))
  if (files.has(url.href)) event.respondWith(cacheFirst(url.href))
})
