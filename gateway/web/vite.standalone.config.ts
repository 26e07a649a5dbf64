// `dist/verifier.html`: scripts, styles and the WebAssembly verifier in one file that a court can keep and
// open from a disk, without a network. The portal puts its genesis into it when it is downloaded.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const read = (name: string, encoding: BufferEncoding): string => readFileSync(new URL(name, import.meta.url)).toString(encoding)

/** A script element ends at the first `</script`, wherever that stands; the same goes for a comment's beginning. */
const inScript = (code: string): string => code.replace(/<\/(script)/gi, '<\\/$1').replace(/<!--/g, '\\x3C!--')

// No connection of any kind, and no script but the one with this hash.
const policy = (script: string): string =>
  [
    "default-src 'none'",
    `script-src 'sha256-${createHash('sha256').update(script).digest('base64')}' 'wasm-unsafe-eval'`,
    "style-src 'unsafe-inline'",
    'img-src data:',
    "connect-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')

function page(script: string, style: string): string {
  const icon = `data:image/svg+xml;base64,${read('public/icon.svg', 'base64')}`
  return `<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="${policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light">
<link rel="icon" href="${icon}">
<title>契证 · 电子合同证据核验</title>
<style>${style}</style>
</head>
<body>
<div id="root"></div>
<noscript>核验在您的浏览器中进行，需要启用 JavaScript。 Verification runs in your browser and needs JavaScript.</noscript>
<script type="application/json" id="qz-embedded">null</script>
<script type="application/wasm;base64" id="qz-wasm">${read('public/qz_verify.wasm', 'base64')}</script>
<script>${script}</script>
</body>
</html>
`
}

const singleFile: Plugin = {
  name: 'single-file',
  enforce: 'post',
  generateBundle(_, bundle) {
    let script = ''
    let style = ''
    for (const [name, output] of Object.entries(bundle)) {
      if (output.type === 'chunk') script += output.code
      else if (name.endsWith('.css')) style += String(output.source)
      else throw new Error(`${name} has no place in the single file`)
      delete bundle[name]
    }
    if (script === '' || style === '') throw new Error('the single file lacks its script or its styles')
    if (/<\/style/i.test(style)) throw new Error('the styles would end their element')
    this.emitFile({ type: 'asset', fileName: 'verifier.html', source: page(inScript(script), style) })
  },
}

export default defineConfig({
  base: './',
  publicDir: false,
  plugins: [react(), singleFile],
  build: {
    target: 'es2022',
    emptyOutDir: false,
    cssCodeSplit: false,
    modulePreload: false,
    chunkSizeWarningLimit: 2048,
    rollupOptions: { input: 'src/standalone.tsx', output: { format: 'iife' } },
  },
})
