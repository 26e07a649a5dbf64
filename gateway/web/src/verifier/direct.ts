/** The verifier on the page itself: `verifier.html` has no second file that a worker could be. */
import { parseLater } from './later'
import { runLater, runVerifier } from './module'
import { parseAny } from './packageReport'
import type { Loading, Verifier } from './verifier'

/** Compiles `wasm` and tells `onState` how that goes. */
export function directVerifier(wasm: ArrayBuffer, onState: (state: Loading) => void): Verifier {
  const module = WebAssembly.compile(wasm)
  module.then(
    () => onState('ready'),
    () => onState('unavailable'),
  )
  return {
    async verify(request) {
      const compiled = await module
      const begun = performance.now()
      const json = await runVerifier(compiled, request)
      const elapsedMs = performance.now() - begun
      return { report: parseAny(json), elapsedMs }
    },
    later: async (request) => parseLater(await runLater(await module, request)),
    close: () => {},
  }
}
