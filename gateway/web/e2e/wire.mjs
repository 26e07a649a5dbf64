/**
 * A recording relay between the browser and the portal: whatever the page, its worker, a beacon or a
 * socket sends to the portal's origin passes here, so "nothing is uploaded" is judged on the wire and
 * not by what a browser's tools care to report.
 */
import http from 'node:http'
import https from 'node:https'

/** Starts a relay to `upstream`; resolves to its origin, the requests seen so far, and a way to end it. */
export async function startRelay(upstream) {
  const target = new URL(upstream)
  const seen = []
  const server = http.createServer((request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      seen.push({ method: request.method, url: request.url, headers: request.headers, body })
      const onward = (target.protocol === 'https:' ? https : http).request(
        new URL(request.url, target),
        { method: request.method, headers: { ...request.headers, host: target.host }, rejectUnauthorized: false },
        (answer) => {
          response.writeHead(answer.statusCode, answer.headers)
          answer.pipe(response)
        },
      )
      onward.on('error', (error) => {
        if (!response.headersSent) response.writeHead(502)
        response.end(String(error))
      })
      onward.end(body)
    })
  })
  server.on('upgrade', (request, socket) => {
    seen.push({ method: 'UPGRADE', url: request.url, headers: request.headers, body: Buffer.alloc(0) })
    socket.destroy()
  })
  await new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    origin: `http://localhost:${server.address().port}`,
    seen,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Why these requests may have carried a file, or `null`: all are GETs without body, with short addresses. */
export function uploadIn(seen) {
  for (const { method, url, headers, body } of seen) {
    const what = `${method} ${url.slice(0, 200)}`
    if (method !== 'GET') return `${what} is not a GET`
    if (body.length > 0) return `${what} has a body of ${body.length} bytes`
    if (url.length > 200) return `${what} has an address of ${url.length} characters`
    const size = Object.entries(headers).join().length
    if (size > 2000) return `${what} has ${size} bytes of headers`
  }
  return null
}
