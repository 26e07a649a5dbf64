/**
 * A recording proxy that every connection of the browser goes through: pages, workers, service workers,
 * beacons, sockets, to the portal's origin or to any other. "Nothing is uploaded" is judged on the wire
 * and not by what a browser's tools care to report.
 */
import http from 'node:http'

/**
 * What Chromium asks of its maker by itself (updates, the time, what fields of forms mean), whatever page is
 * open. It is refused like every other host; no page can pose as it, as a test of the page's policy shows.
 */
const BROWSERS_OWN = /^(https?:\/\/)?([\w-]+\.)*(google|googleapis|gstatic)\.com([:/]|$)/

/** Starts a proxy that forwards to the portals' origins and refuses every other host. */
export async function startProxy(portals) {
  const allowed = new Set(portals.map((portal) => new URL(portal).host))
  // `alter`, when set, is given an address and its answer's bytes and returns what the browser gets instead.
  const wire = { seen: [], down: false, alter: null }
  const agent = new http.Agent({ keepAlive: true })
  const note = (method, url, headers = {}, body = Buffer.alloc(0)) => {
    if (!BROWSERS_OWN.test(url)) wire.seen.push({ method, url, headers, body })
  }

  const server = http.createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      note(request.method, request.url, request.headers, body)
      // A proxy is asked with the whole address; anything else was not meant for one.
      const target = URL.canParse(request.url) ? new URL(request.url) : null
      if (wire.down || target === null || !allowed.has(target.host)) return request.socket.destroy()
      const onward = http.request(target, { agent, method: request.method, headers: request.headers }, (answer) => {
        if (wire.alter === null) {
          response.writeHead(answer.statusCode, answer.headers)
          return answer.pipe(response)
        }
        const parts = []
        answer.on('data', (part) => parts.push(part))
        answer.on('end', () => {
          const { type, body } = wire.alter(target, Buffer.concat(parts))
          const headers = { ...answer.headers, ...(type && { 'content-type': type }), 'content-length': body.length }
          delete headers['transfer-encoding']
          response.writeHead(answer.statusCode, headers)
          response.end(body)
        })
      })
      onward.on('error', () => request.socket.destroy())
      onward.end(body)
    })
  })
  // Sockets and TLS: recorded, never opened.
  server.on('connect', (request, socket) => {
    note('CONNECT', request.url, request.headers)
    socket.destroy()
  })
  server.on('upgrade', (request, socket) => {
    note('UPGRADE', request.url, request.headers)
    socket.destroy()
  })
  await new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return Object.assign(wire, {
    address: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      agent.destroy()
      server.closeAllConnections()
      server.close()
    },
  })
}

/** Every address that a page of the portal may ask for; none has room for anything of a file. */
const ADDRESSES = [
  /^\/$/,
  /^\/verify(\?no=[^&]{1,100})?$/,
  /^\/assets\/[\w.-]{1,80}$/,
  /^\/(icon\.svg|icon-(192|512|maskable-512)\.png|manifest\.webmanifest|qz_verify\.wasm|sw\.js|verifier\.html)$/,
  /^\/portal\/(genesis\.qz|site\.json)$/,
  /^\/api\/subjects\/[0-9a-f]{64}\/proof$/,
  /^\/v1\/organisation$/,
  /^\/api\/certificates\/[^/?]{1,100}$/,
]

/** Why these requests may have carried a file, or `null`: all are GETs of known addresses, without body. */
export function uploadIn(seen, portals) {
  const hosts = new Set(portals.map((portal) => new URL(portal).host))
  for (const { method, url, headers, body } of seen) {
    const what = `${method} ${url.slice(0, 200)}`
    if (method !== 'GET') return `${what} is not a GET`
    if (body.length > 0) return `${what} has a body of ${body.length} bytes`
    const { host, pathname, search } = new URL(url)
    if (!hosts.has(host)) return `${what} goes to another host`
    if (!ADDRESSES.some((address) => address.test(pathname + search))) return `${what} is no address of the portal`
    const size = Object.entries(headers).join().length
    if (size > 2000) return `${what} has ${size} bytes of headers`
    if (headers.cookie !== undefined) return `${what} carries a cookie`
  }
  return null
}
