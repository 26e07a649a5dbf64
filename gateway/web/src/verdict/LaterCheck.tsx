/**
 * Whether anything happened after the evidence was made: asks the portal's node for where each subject
 * stands now, when the reader wants it, and has the answers verified like the evidence itself. In the
 * single file there is nobody to ask; the reader can bring state proofs along.
 */
import { Alert, Button } from 'antd'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { Refused, useEnvironment } from '../environment'
import { formatTime, shortHex } from '../format'
import { FilePicker } from '../portal/FilePicker'
import type { Genesis } from '../portal/genesis'
import type { Later } from '../verifier/later'
import type { Head, Report, SubjectState } from '../verifier/report'
import type { Verifier } from '../verifier/verifier'
import { download } from './download'
import { usePick } from './language'
import type { Names } from './names'
import { Section } from './Section'

/** A node that is further behind than this by the reader's clock may not know of the latest records. */
const STALE_MS = 10 * 60 * 1000
/** Subjects that are asked for, contracts first. */
const MOST = 16

interface Answer {
  known: SubjectState
  later: Later
  /** The proof, for those who want to keep it. */
  proof: ArrayBuffer
}

type State =
  | { kind: 'idle' | 'asking' }
  | { kind: 'failed'; words: string | null }
  | { kind: 'answered'; answers: Answer[]; atMs: number }

const RANK: Record<string, number> = { contract: 0, seal: 1, key: 2 }
const rank = (state: SubjectState): number => RANK[state.type] ?? 3

interface Props {
  report: Report
  names: Names
  genesis: Genesis
  verifier: Verifier
}

/** The worst of the answers decides what is said first. */
function summary(answers: Answer[]): 'conflict' | 'invalid' | 'not-newer' | 'later' | 'changed' | 'nothing-later' {
  const has = (outcome: Later['outcome']) => answers.some(({ later }) => later.outcome === outcome)
  if (has('conflict')) return 'conflict'
  if (has('invalid')) return 'invalid'
  if (has('not-newer')) return 'not-newer'
  if (answers.some(({ known, later }) => known.type === 'contract' && later.outcome === 'later')) return 'later'
  if (answers.some(({ known, later }) => later.status.en !== known.status.en)) return 'changed'
  return 'nothing-later'
}

const ALERTS = {
  conflict: 'error',
  invalid: 'error',
  'not-newer': 'warning',
  later: 'warning',
  changed: 'warning',
  'nothing-later': 'success',
} as const

export function LaterCheck({ report, names, genesis, verifier }: Props) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  const { stateProof } = useEnvironment()
  const [state, setState] = useState<State>({ kind: 'idle' })
  const result = useRef<HTMLDivElement>(null)
  const head = report.head

  // An answer of another file is none of this one.
  useEffect(() => setState({ kind: 'idle' }), [report])
  useEffect(() => {
    if (state.kind === 'answered' || state.kind === 'failed') result.current?.focus()
  }, [state])

  const subjects = [...report.subjects].sort((one, other) => rank(one) - rank(other)).slice(0, MOST)
  if (head === null || subjects.length === 0) return null

  const compare = async (known: SubjectState, proof: ArrayBuffer, atMs: number): Promise<Answer> => {
    const request = {
      proof,
      genesis: genesis.bytes,
      known: { subject: known.subject, records: known.records, height: head.height, block_id: head.blockId },
      nowMs: atMs,
    }
    return { known, proof, later: await verifier.later(request) }
  }

  const run = async (work: (atMs: number) => Promise<Answer[]>) => {
    setState({ kind: 'asking' })
    try {
      const atMs = Date.now()
      setState({ kind: 'answered', answers: await work(atMs), atMs })
    } catch (error) {
      setState({ kind: 'failed', words: error instanceof Refused ? pick(error.words) : null })
    }
  }

  const ask = () =>
    run(async (atMs) => {
      const answers: Answer[] = []
      for (const known of subjects) {
        if (stateProof !== null) answers.push(await compare(known, await stateProof(known.subject), atMs))
      }
      return answers
    })

  /** Each file is matched with the subject that it speaks of; one that fits none is shown as invalid. */
  const bring = (files: File[]) =>
    run(async (atMs) => {
      const answers: Answer[] = []
      for (const file of files) {
        const proof = await file.arrayBuffer()
        let best: Answer | null = null
        for (const known of subjects) {
          const answer = await compare(known, proof, atMs)
          if (best === null || answer.later.outcome !== 'invalid') best = answer
          if (answer.later.outcome !== 'invalid') break
        }
        if (best !== null) answers.push(best)
      }
      return answers
    })

  const kind = (type: string): string => t(`subject.${(i18n.exists(`subject.${type}`) ? type : 'other') as 'contract'}`)
  const sayAnswer = ({ known, later }: Answer): string => {
    if (later.outcome === 'later') {
      return t('later.more', { count: (later.records ?? 0) - known.records, status: pick(later.status) })
    }
    return later.outcome === 'nothing-later' ? t('later.none', { status: pick(later.status) }) : pick(later.note)
  }
  const oldest = (answers: Answer[]): Head | null =>
    answers.reduce<Head | null>(
      (found, { later }) => (later.head !== null && (found === null || later.head.height < found.height) ? later.head : found),
      null,
    )

  return (
    <Section
      title={t('section.later')}
      hint={stateProof === null ? t('later.hintOffline') : t('later.hint', { count: subjects.length })}
      testId="later"
    >
      <div className="actions no-print">
        {stateProof !== null && (
          <Button onClick={() => void ask()} disabled={state.kind === 'asking'} data-testid="later-ask">
            {t(state.kind === 'answered' ? 'later.askAgain' : 'later.ask')}
          </Button>
        )}
        <FilePicker
          label={t('later.bring')}
          accept=".qzproof"
          multiple
          testId="later-input"
          onFiles={(files) => void bring(files)}
          button={{ disabled: state.kind === 'asking' }}
        />
      </div>
      {state.kind === 'idle' && <p className="quiet" data-testid="later-idle">{t('later.notAsked')}</p>}
      <div role="status" ref={result} tabIndex={-1} className="later-result" data-testid="later-result">
        {state.kind === 'asking' && t('later.asking')}
        {state.kind === 'failed' && (
          <Alert type="warning" role="presentation" showIcon title={t('later.failed')} description={state.words ?? t('later.unreachable')} />
        )}
        {state.kind === 'answered' && <Answered />}
      </div>
    </Section>
  )

  function Answered() {
    if (state.kind !== 'answered') return null
    const { answers, atMs } = state
    const what = summary(answers)
    const block = oldest(answers)
    const stale = block !== null && atMs - block.timeMs > STALE_MS
    return (
      <>
        <Alert
          type={stale && what === 'nothing-later' ? 'warning' : ALERTS[what]}
          role="presentation"
          showIcon
          data-testid="later-summary"
          data-outcome={what}
          title={t(`later.summary.${what}`)}
          description={
            block !== null && (
              <>
                {t('later.asOf', { height: block.height, time: formatTime(block.timeMs) })}
                {stale && <strong className="later-stale">{t('later.stale')}</strong>}
              </>
            )
          }
        />
        <ul className="subjects">
          {answers.map((answer, position) => (
            <li key={position} data-testid="later-subject" data-outcome={answer.later.outcome}>
              <p>
                <strong>{kind(answer.known.type)}</strong>{' '}
                {names.subject(answer.known.subject) ?? <span className="hex">{shortHex(answer.known.subject)}</span>}
              </p>
              <p className="quiet">
                {sayAnswer(answer)}
                {answer.later.outcome !== 'invalid' && stateProof !== null && (
                  <Button
                    className="no-print"
                    type="link"
                    size="small"
                    aria-label={`${t('later.save')}：${kind(answer.known.type)} ${names.subject(answer.known.subject) ?? position + 1}`}
                    onClick={() => download(answer.proof, `state-${answer.known.subject.slice(0, 16)}.qzproof`, 'application/cbor')}
                  >
                    {t('later.save')}
                  </Button>
                )}
              </p>
            </li>
          ))}
        </ul>
      </>
    )
  }
}
