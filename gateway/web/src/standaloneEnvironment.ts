/** The single file: verifier, genesis and trust inputs lie in the page itself, and there is nobody to ask. */
import { type Environment, NO_SITE, parseSite } from './environment'
import { sha256 } from './format'
import { directVerifier } from './verifier/direct'
import { isObject } from './verifier/report'

function decode(base64: string): ArrayBuffer {
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index)
  return bytes.buffer
}

const content = (id: string): string => document.getElementById(id)?.textContent ?? ''

/** What the portal put into the file when it was downloaded; nothing in a file from elsewhere. */
function embedded(): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(content('qz-embedded'))
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

export function standaloneEnvironment(): Environment {
  const { genesis, site } = embedded()
  return {
    standalone: true,
    verifier: (onState) => directVerifier(decode(content('qz-wasm').trim()), onState),
    async genesis() {
      if (typeof genesis !== 'string' || genesis === '') return 'missing'
      const bytes = decode(genesis)
      return { bytes, name: null, fingerprint: await sha256(bytes) }
    },
    site: async () => ({ ...(site === undefined ? NO_SITE : parseSite(site)), register: 'none', registerUrl: null }),
    stateProof: null,
    lookUp: null,
  }
}
