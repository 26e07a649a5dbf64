// Relative addresses, so that the gateway can serve the page under any path; nothing is inlined into
// the page, so that a strict content security policy holds.
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

export default defineConfig({
  base: './',
  plugins: [react(), contentSecurityPolicy],
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
