/**
 * What differs between the portal's page and the single file `verifier.html`: where the verifier and the
 * trust inputs come from, and whether there is anybody to ask.
 */
import { createContext, useContext } from 'react'
import type { Genesis } from './portal/genesis'
import { type Bilingual, bilingual, isObject, text } from './verifier/report'
import type { Loading, Verifier } from './verifier/verifier'

/** What the portal's operator says about the portal. */
export interface Site {
  operator: Bilingual | null
  /** Whether certificate numbers can be looked up here, at another portal, or nowhere. */
  register: 'own' | 'elsewhere' | 'none'
  registerUrl: string | null
  /** Trust inputs besides the genesis. */
  witnessPolicy: string | null
  tsaRoots: string | null
}

/** What the parties of a certificate's contract made public. */
export interface PublicRecord {
  /** Which copy, for a print copy; `null` for a signing certificate. */
  copy: number | null
  number: string
  issuedMs: number
  issuer: string
  public: Record<string, unknown>
  withheld: string[]
}

/** Why something was not obtained: the server's words, or `null` if it was not reached. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly words: Bilingual,
  ) {
    super(words.en)
  }
}

export interface Environment {
  standalone: boolean
  verifier(onState: (state: Loading) => void): Verifier
  genesis(): Promise<Genesis | 'missing'>
  site(): Promise<Site>
  /** Asks the portal's node for a proof of where a subject stands; sends nothing but the subject's id. */
  stateProof: ((subject: string) => Promise<ArrayBuffer>) | null
  /** Looks a certificate number up; `null` if nobody has issued it. */
  lookUp: ((number: string) => Promise<PublicRecord | null>) | null
}

const Context = createContext<Environment | null>(null)
export const EnvironmentProvider = Context.Provider

export function useEnvironment(): Environment {
  const environment = useContext(Context)
  if (environment === null) throw new Error('the page has no environment')
  return environment
}

export const NO_SITE: Site = { operator: null, register: 'none', registerUrl: null, witnessPolicy: null, tsaRoots: null }

const textOrNull = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null)

/** Only addresses that a link may lead to. */
const webAddress = (value: unknown): string | null => {
  const address = textOrNull(value)
  return address !== null && /^https?:\/\//.test(address) ? address : null
}

/** Reads `portal/site.json`; what is missing becomes empty. */
export function parseSite(source: unknown): Site {
  if (!isObject(source)) return NO_SITE
  const registerUrl = webAddress(source.register_url)
  return {
    operator: isObject(source.operator) ? bilingual(source.operator, 'name', text(source.operator.org)) : null,
    register: source.register === 'own' ? 'own' : registerUrl !== null ? 'elsewhere' : 'none',
    registerUrl,
    witnessPolicy: textOrNull(source.witness_policy),
    tsaRoots: textOrNull(source.tsa_roots),
  }
}
