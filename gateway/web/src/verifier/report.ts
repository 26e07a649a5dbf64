/**
 * The verifier's report as the page shows it. The module that writes it and this page are built
 * together, but a page must not fall over a report that is richer or poorer than it knows: what is
 * missing becomes empty, what is unknown is left aside, and a verdict that is not known is INVALID.
 */

export type Verdict = 'VALID' | 'VALID-UNANCHORED' | 'INVALID'
export type StepStatus = 'pass' | 'fail' | 'not-checked'

/** A text in both languages of the page. */
export interface Bilingual {
  zh: string
  en: string
}

export interface Organisation {
  org: string
  name: Bilingual
  roles: string[]
}

export interface Step {
  n: number
  title: Bilingual
  status: StepStatus
  detail: Bilingual
}

export interface ChainEvent {
  height: number
  index: number
  timeMs: number
  kind: string
  title: Bilingual
  recordHash: string
  /** Key subjects, or organisations as `org:<id>`. */
  signers: string[]
  /** The subjects touched; a record that creates one names it first. */
  subjects: string[]
  /** The member that relayed the record. */
  relay: string
}

export interface SubjectState {
  subject: string
  type: string
  status: Bilingual
  /** Records that the ledger holds about it. */
  records: number
  /** The bundle holds every record of the subject up to `asOfHeight`. */
  complete: boolean
  asOfHeight: number
  asOfTimeMs: number
}

export interface Disclosure {
  event: number
  name: string
  value: string
}

/** A file that the ledger commits to. */
export interface LedgerDocument {
  name: string
  sha256: string
  /** `null` when the file was not given, and so not compared. */
  matches: boolean | null
  what: Bilingual
}

/** An X.509 certificate that a record commits to. */
export interface Certificate {
  event: number
  subject: string
  issuer: string
  serial: string
  notBeforeMs: number
  notAfterMs: number
}

export interface Head {
  height: number
  timeMs: number
  blockId: string
}

/** Somebody who signed the checkpoint. */
export interface Cosigner {
  name: string
  /** By the witness' own clock; `null` for a signature without a time. */
  timeMs: number | null
  /** The member whose key it is. */
  member: string | null
  /** The witness' name in the policy that the verifier was given. */
  policyName: string | null
  /** A witness of the policy that is no member. */
  outside: boolean
}

/** The checkpoint of the head block. */
export interface Checkpoint {
  origin: string
  size: number
  cosigners: Cosigner[]
}

/** A third-party timestamp over a checkpoint. */
export interface Anchor {
  height: number
  blockTimeMs: number
  tsaTimeMs: number
  accuracyMs: number | null
  tsa: string
  serial: string
  root: string | null
  reliedOn: boolean
  /** Kept from before a renewal. */
  former: boolean
}

export interface Report {
  verdict: Verdict
  chainId: string
  chainName: string
  head: Head | null
  finalisedBy: Organisation[]
  /** All members named in the genesis, as far as the report tells. */
  organisations: Organisation[]
  steps: Step[]
  events: ChainEvent[]
  subjects: SubjectState[]
  disclosures: Disclosure[]
  documents: LedgerDocument[]
  certificates: Certificate[]
  checkpoint: Checkpoint | null
  anchors: Anchor[]
  notChecked: Bilingual[]
  assumptions: Bilingual[]
}

export type Json = Record<string, unknown>

export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
export const text = (value: unknown): string => (typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '')
export const count = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)
export const objects = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : [])
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text).filter(Boolean) : [])

/** `{prefix}_zh` and `{prefix}_en`; either stands in for the other, and `fallback` for both. */
export function bilingual(source: Json, prefix: string, fallback = ''): Bilingual {
  const zh = text(source[`${prefix}_zh`])
  const en = text(source[`${prefix}_en`])
  return { zh: zh || en || fallback, en: en || zh || fallback }
}

export function sentence(value: unknown): Bilingual {
  if (!isObject(value)) return { zh: text(value), en: text(value) }
  const zh = text(value.zh)
  const en = text(value.en)
  return { zh: zh || en, en: en || zh }
}

export const sentences = (value: unknown): Bilingual[] =>
  (Array.isArray(value) ? value : []).map(sentence).filter((item) => item.zh !== '')

export function verdict(value: unknown): Verdict {
  return value === 'VALID' || value === 'VALID-UNANCHORED' ? value : 'INVALID'
}

function status(value: unknown): StepStatus {
  return value === 'pass' || value === 'fail' ? value : 'not-checked'
}

const organisations = (value: unknown): Organisation[] =>
  objects(value).map((item) => ({
    org: text(item.org),
    name: bilingual(item, 'name', text(item.org)),
    roles: texts(item.roles),
  }))

export function parseHead(value: unknown): Head | null {
  if (!isObject(value)) return null
  return { height: count(value.height), timeMs: count(value.time_ms), blockId: text(value.block_id) }
}

export const readSteps = (value: unknown): Step[] =>
  objects(value).map((item) => ({
    n: count(item.n),
    title: bilingual(item, 'title'),
    status: status(item.status),
    detail: bilingual(item, 'detail'),
  }))

const numberOrNull = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

function parseCheckpoint(value: unknown): Checkpoint | null {
  if (!isObject(value)) return null
  const cosigners = objects(value.cosigners).map((item) => ({
    name: text(item.name),
    timeMs: numberOrNull(item.time_ms),
    member: text(item.member) || null,
    policyName: text(item.policy_name) || null,
    outside: item.outside === true,
  }))
  return { origin: text(value.origin), size: count(value.size), cosigners }
}

/** Reads a report of one proof out of its JSON object. */
export function readReport(source: Json): Report {
  return {
    verdict: verdict(source.verdict),
    chainId: text(source.chain_id),
    chainName: text(source.chain_name),
    head: parseHead(source.head),
    finalisedBy: organisations(source.finalised_by),
    organisations: organisations(source.organisations),
    steps: readSteps(source.steps),
    events: objects(source.events).map((item) => ({
      height: count(item.height),
      index: count(item.index),
      timeMs: count(item.time_ms),
      kind: text(item.kind),
      title: bilingual(item, 'title', text(item.kind)),
      recordHash: text(item.record_hash),
      signers: texts(item.signers),
      subjects: texts(item.subjects),
      relay: text(item.relay),
    })),
    subjects: objects(source.subjects).map((item) => ({
      subject: text(item.subject),
      type: text(item.type),
      status: { zh: text(item.status_zh) || text(item.status), en: text(item.status_en) || text(item.status) },
      records: count(item.records ?? item.seq),
      complete: item.complete === true,
      asOfHeight: count(item.as_of_height),
      asOfTimeMs: count(item.as_of_time_ms),
    })),
    disclosures: objects(source.disclosures).map((item) => ({
      event: count(item.event),
      name: text(item.name),
      value: text(item.value),
    })),
    documents: objects(source.documents).map((item) => ({
      name: text(item.name),
      sha256: text(item.sha256),
      matches: typeof item.matches === 'boolean' ? item.matches : null,
      what: bilingual(item, 'what'),
    })),
    certificates: objects(source.certificates).map((item) => ({
      event: count(item.event),
      subject: text(item.subject),
      issuer: text(item.issuer),
      serial: text(item.serial),
      notBeforeMs: count(item.not_before_ms),
      notAfterMs: count(item.not_after_ms),
    })),
    checkpoint: parseCheckpoint(source.checkpoint),
    anchors: objects(source.anchors).map((item) => ({
      height: count(item.height),
      blockTimeMs: count(item.block_time_ms),
      tsaTimeMs: count(item.tsa_time_ms),
      accuracyMs: numberOrNull(item.accuracy_ms),
      tsa: text(item.tsa),
      serial: text(item.serial),
      root: text(item.root) || null,
      reliedOn: item.relied_on === true,
      former: item.former === true,
    })),
    notChecked: sentences(source.not_checked),
    assumptions: sentences(source.assumptions),
  }
}
