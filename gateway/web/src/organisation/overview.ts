/** What `GET /v1/organisation` says, and the token with which it is asked for. */

export interface Concern {
  why: 'forum' | 'own' | 'followed' | 'watched' | 'governance'
  height: number
  index: number
  time: string
  record: string
  kind: string
  title_zh: string
  title_en: string
  relay: string
  subjects: string[]
}

export interface Overview {
  organisation: { id: string; name_zh: string; name_en: string; roles: string[]; home: string; validates: boolean }
  chain: { id: string; name: string }
  can: { notarise: boolean; retrieve: boolean; rule: boolean }
  node:
    | { reachable: true; height: number; time: string; epoch: number; healthy: boolean; syncing: boolean; peers: number; mempool: number }
    | { reachable: false; error: string }
  read: { height: number; trouble: string | null }
  pending: { contract: string; since: string; height: number; index: number }[]
  records: Concern[]
  watched: string[]
}

const STORED = 'qizheng.operator'

/** The token is kept for this tab only. */
export function storedToken(): string {
  try {
    return sessionStorage.getItem(STORED) ?? ''
  } catch {
    return ''
  }
}

export function storeToken(token: string): void {
  try {
    if (token === '') sessionStorage.removeItem(STORED)
    else sessionStorage.setItem(STORED, token)
  } catch {
    // Storage may be forbidden; the token then lasts until the page is loaded again.
  }
}

/** Refused: the token is not the operator's. */
export class WrongToken extends Error {}

export async function fetchOverview(token: string, signal: AbortSignal): Promise<Overview> {
  const response = await fetch('v1/organisation', { headers: { authorization: `Bearer ${token}` }, signal })
  if (response.status === 401) throw new WrongToken()
  if (!response.ok) throw new Error(`${response.status}`)
  return (await response.json()) as Overview
}

/** The command with which the operator does something about a contract. */
export function command(overview: Overview, what: 'rule' | 'retrieve' | 'notarise' | 'deposit' | 'watch', contract?: string): string {
  const subject = contract ?? 'SUBJECT'
  const parts: Record<typeof what, string> = {
    rule: `--contract ${subject} --form ${overview.organisation.roles.includes('court') ? 'judgment' : 'award'} --effect in-force --number 案号 --file RULING.pdf --out ruling.qzproof`,
    retrieve: `--case 案号 --contract ${subject} --out retrieval.qzproof --gateway https://PLATFORM --gateway-ca CA.pem --package package.zip`,
    notarise: `--subject ${subject} --number 公证书编号 --file DEED.pdf --out deed.qzproof`,
    deposit: `--about ${subject} --file FILE --out deposit.qzproof`,
    watch: '',
  }
  return `qz-client ${what} --home ${overview.organisation.home} ${parts[what]}`.trim()
}
