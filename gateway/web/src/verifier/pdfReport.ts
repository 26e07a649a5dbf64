/** What an examination of a PDF's signatures says (`docs/SIGNED-PDF.md`), as the page shows it; unknown words count as the worst. */
import { type Bilingual, type Json, count, isObject, objects, sentence, sentences, text } from './report'

const VERDICTS = ['valid', 'intact', 'caution', 'unsigned', 'changed', 'invalid', 'undetermined'] as const
export type PdfVerdict = (typeof VERDICTS)[number]

const STATUSES = ['intact', 'caution', 'changed', 'unsupported', 'broken'] as const
export type SignatureStatus = (typeof STATUSES)[number]

const KINDS = ['approval', 'certification', 'document-timestamp'] as const
export type SignatureKind = (typeof KINDS)[number]

export interface LaterChange {
  revision: number
  weight: 'expected' | 'permitted' | 'forbidden'
  words: Bilingual
}

export interface PdfSignature {
  field: string
  kind: SignatureKind
  status: SignatureStatus
  words: Bilingual
  problems: Bilingual[]
  signer: { subject: string; issuer: string; serial: string; notBeforeMs: number; notAfterMs: number } | null
  /** The signer's own claim, as it stands in the file. */
  claimedTime: string
  timestamp: { timeMs: number | null; authority: string; trusted: boolean } | null
  trust: Bilingual
  algorithm: string
  reason: string
  location: string
  revision: number | null
  /** Behind the last byte that it covers. */
  coveredTo: number | null
  coversWholeFile: boolean
  /** `/DocMDP`: what may follow. */
  permits: number | null
  pages: number[]
  later: LaterChange[]
}

export interface PdfReport {
  kind: 'pdf'
  verdict: PdfVerdict
  words: Bilingual
  problems: Bilingual[]
  size: number
  pages: number
  revisions: { number: number; end: number; signedBy: string[] }[]
  signatures: PdfSignature[]
  warnings: { grave: boolean; words: Bilingual }[]
}

function oneOf<T extends string>(values: readonly T[], value: unknown, otherwise: T): T {
  return values.find((known) => known === value) ?? otherwise
}

const numberOrNull = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null)

function signature(item: Json): PdfSignature {
  const signer = isObject(item.signer) ? item.signer : null
  const stamp = isObject(item.timestamp) ? item.timestamp : null
  const [, , second, length] = Array.isArray(item.byte_range) ? item.byte_range.map(numberOrNull) : []
  return {
    field: text(item.field),
    kind: oneOf(KINDS, item.kind, 'approval'),
    status: oneOf(STATUSES, item.status, 'broken'),
    words: sentence(item.words),
    problems: sentences(item.problems),
    signer: signer && {
      subject: text(signer.subject),
      issuer: text(signer.issuer),
      serial: text(signer.serial),
      notBeforeMs: count(signer.not_before_ms),
      notAfterMs: count(signer.not_after_ms),
    },
    claimedTime: text(item.claimed_time),
    timestamp: stamp && { timeMs: numberOrNull(stamp.time_ms), authority: text(stamp.authority), trusted: stamp.trusted === true },
    trust: sentence(item.trust_words),
    algorithm: text(item.algorithm),
    reason: text(item.reason),
    location: text(item.location),
    revision: numberOrNull(item.revision),
    coveredTo: second != null && length != null ? second + length : null,
    coversWholeFile: item.covers_whole_file === true,
    permits: numberOrNull(item.permits),
    pages: [...new Set(objects(item.placements).map((place) => count(place.page)))],
    later: objects(item.later).map((later) => ({
      revision: count(later.revision),
      weight: oneOf(['expected', 'permitted', 'forbidden'] as const, later.weight, 'forbidden'),
      words: sentence(later.words),
    })),
  }
}

/** Reads such a report out of its JSON object. */
export function readPdf(source: Json): PdfReport {
  return {
    kind: 'pdf',
    verdict: oneOf(VERDICTS, source.verdict, 'undetermined'),
    words: sentence(source.words),
    problems: sentences(source.problems),
    size: count(source.size),
    pages: count(source.pages),
    revisions: objects(source.revisions).map((item) => ({
      number: count(item.number),
      end: count(item.end),
      signedBy: Array.isArray(item.signed_by) ? item.signed_by.map(text) : [],
    })),
    signatures: objects(source.signatures).map(signature),
    warnings: objects(source.warnings).map((item) => ({ grave: item.grave === true, words: sentence(item.words) })),
  }
}

/** `D:20261122100000+08'00'` as `2026-11-22 10:00:00 (UTC+08:00)`; anything else as it stands. */
export function pdfTime(written: string): string {
  const match = /^D:(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:(Z)|([+-])(\d\d)'?(\d\d)?'?)?/.exec(written)
  if (match === null) return written
  const [, year, month, day, hour, minute, second, utc, sign, hours, minutes = '00'] = match
  const zone = utc ? ' (UTC)' : sign ? ` (UTC${sign}${hours}:${minutes})` : ''
  return `${year}-${month}-${day} ${hour}:${minute}:${second}${zone}`
}
