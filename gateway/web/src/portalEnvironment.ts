/** The portal's page: everything comes from its own origin, and only ids and numbers go there. */
import { type Environment, NO_SITE, parseSite, type PublicRecord, Refused } from './environment'
import { sha256 } from './format'
import { count, isObject, text } from './verifier/report'
import { workerVerifier } from './verifier/client'

const at = (path: string): URL => new URL(path, document.baseURI)

/** A dev server or a misconfigured proxy answers with a page instead of what was asked for. */
const isPage = (response: Response): boolean => (response.headers.get('content-type') ?? '').includes('text/html')

async function refused(response: Response): Promise<Refused> {
  const problem: unknown = await response.json().catch(() => null)
  const zh = isObject(problem) ? text(problem.detail) : ''
  const en = isObject(problem) ? text(problem.detail_en) : ''
  return new Refused(response.status, { zh: zh || `HTTP ${response.status}`, en: en || `HTTP ${response.status}` })
}

async function ask(path: string): Promise<Response> {
  const response = await fetch(at(path), { cache: 'no-store', credentials: 'omit' })
  if (!response.ok || isPage(response)) throw await refused(response)
  return response
}

export const portalEnvironment: Environment = {
  standalone: false,
  verifier: (onState) => workerVerifier(at('qz_verify.wasm').href, onState),
  async genesis() {
    const response = await fetch(at('portal/genesis.qz'))
    if (!response.ok || isPage(response)) return 'missing'
    const bytes = await response.arrayBuffer()
    return bytes.byteLength === 0 ? 'missing' : { bytes, name: null, fingerprint: await sha256(bytes) }
  },
  async site() {
    const response = await fetch(at('portal/site.json'))
    return response.ok && !isPage(response) ? parseSite(await response.json()) : NO_SITE
  },
  stateProof: async (subject) => (await ask(`api/subjects/${encodeURIComponent(subject)}/proof`)).arrayBuffer(),
  async lookUp(number) {
    try {
      const source: unknown = await (await ask(`api/certificates/${encodeURIComponent(number)}`)).json()
      if (!isObject(source)) throw new Error('no object')
      const found: PublicRecord = {
        copy: source.kind === 'print-copy' ? count(source.copy) : null,
        number: text(source.number),
        issuedMs: count(source.issued_ms),
        issuer: text(source.issuer),
        public: isObject(source.public) ? source.public : {},
        withheld: Array.isArray(source.withheld) ? source.withheld.map(text) : [],
      }
      return found
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null
      throw error
    }
  },
}
