/** The verifier's answer about a newer state proof. What is unknown counts as invalid, never as good news. */
import { type Bilingual, type Head, bilingual, isObject, parseHead, sentence, text } from './report'

const OUTCOMES = ['nothing-later', 'later', 'not-newer', 'conflict', 'invalid'] as const
export type LaterOutcome = (typeof OUTCOMES)[number]

export interface Later {
  outcome: LaterOutcome
  subject: string
  /** Records as of the newer proof; `null` if it does not hold. */
  records: number | null
  status: Bilingual
  head: Head | null
  note: Bilingual
}

/** Reads an answer; throws only if it is no JSON object, or an error of the verifier. */
export function parseLater(json: string): Later {
  const source: unknown = JSON.parse(json)
  if (!isObject(source)) throw new Error('the answer is not an object')
  if (typeof source.error === 'string') throw new Error(source.error)
  const head = parseHead(source.head)
  const known = OUTCOMES.find((outcome) => outcome === source.outcome) ?? 'invalid'
  return {
    // Good news without a block that it is about is none.
    outcome: head === null ? 'invalid' : known,
    subject: text(source.subject),
    records: typeof source.records === 'number' && head !== null ? source.records : null,
    status: bilingual({ status_zh: source.status_zh, status_en: source.status }, 'status'),
    head,
    note: sentence(source.note),
  }
}
