/**
 * The worker in which files are verified, so that the page stays responsive. It fetches the verifier
 * once, when the page loads; after that it talks to the page only.
 */
import { type LaterRequest, runLater, runVerifier, type VerifyRequest } from './module'

export type ToWorker =
  | { type: 'load'; url: string }
  | { type: 'verify'; id: number; request: VerifyRequest }
  | { type: 'later'; id: number; request: LaterRequest }
export type FromWorker =
  | { type: 'ready'; bytes: number }
  | { type: 'unavailable'; reason: string }
  | { type: 'answer'; id: number; json: string; elapsedMs: number }
  | { type: 'failed'; id: number; reason: string }

/** The part of the worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null
  postMessage(message: FromWorker): void
}

const scope = self as unknown as WorkerScope
let module: Promise<WebAssembly.Module> | null = null

async function load(url: string): Promise<WebAssembly.Module> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`HTTP ${response.status}`)
  const bytes = await response.arrayBuffer()
  const compiled = await WebAssembly.compile(bytes)
  scope.postMessage({ type: 'ready', bytes: bytes.byteLength })
  return compiled
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

async function answer(message: Exclude<ToWorker, { type: 'load' }>): Promise<FromWorker> {
  const compiled = await module
  if (compiled === null) throw new Error('the verifier is not loaded')
  const begun = performance.now()
  const json = message.type === 'verify' ? await runVerifier(compiled, message.request) : await runLater(compiled, message.request)
  return { type: 'answer', id: message.id, json, elapsedMs: performance.now() - begun }
}

scope.onmessage = ({ data }) => {
  if (data.type === 'load') {
    module = load(data.url)
    module.catch((error: unknown) => scope.postMessage({ type: 'unavailable', reason: reasonOf(error) }))
    return
  }
  answer(data)
    .then((message) => scope.postMessage(message))
    .catch((error: unknown) => scope.postMessage({ type: 'failed', id: data.id, reason: reasonOf(error) }))
}
