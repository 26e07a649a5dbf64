// The portal's page. Relative addresses, so that the gateway can serve it under any path; nothing is
// inlined into the page, so that a strict content security policy holds. `vite.standalone.config.ts`
// makes the single file out of the same sources.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

// The built page carries its policy itself, so that it holds wherever a member organisation serves it:
// no code, data or connection but its own. Styles are the exception: the component library writes them.
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

const contentSecurityPolicy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
  ],
}

/** Writes the service worker with the list of everything that was built. */
const serviceWorker: Plugin = {
  name: 'service-worker',
  apply: 'build',
  writeBundle({ dir }) {
    const root = dir ?? 'dist'
    const built = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
      .filter((name) => !['sw.js', 'verifier.html', 'organisation.html'].includes(name) && !name.startsWith('assets/organisation'))
      .sort()
    const hash = createHash('sha256')
    for (const name of built) hash.update(name).update(readFileSync(path.join(root, name)))
    const version = hash.digest('hex').slice(0, 16)
    // The page is kept under the address by which it is opened.
    const files = built.map((name) => (name === 'index.html' ? './' : name))
    const template = readFileSync(new URL('sw/sw.js', import.meta.url), 'utf8')
    writeFileSync(path.join(root, 'sw.js'), template.replace('__VERSION__', version).replace('__FILES__', JSON.stringify(files)))
  },
}

export default defineConfig({
  base: './',
  plugins: [react(), contentSecurityPolicy, serviceWorker],
  worker: { format: 'es' },
  build: {
    target: 'es2022',
    // The portal's page, and the page of a member's operators.
    rollupOptions: { input: ['index.html', 'organisation.html'] },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1024,
  },
})
