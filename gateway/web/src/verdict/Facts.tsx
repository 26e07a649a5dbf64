/** The head of the verdict: which file, which contract, signed by whom and when, as of when, against what. */
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'
import { useEnvironment } from '../environment'
import { formatSize, formatTime, groupHex } from '../format'
import type { Report } from '../verifier/report'
import { TrustFacts } from '../portal/TrustPanel'
import type { Names } from './names'
import type { Verification } from './VerdictView'

export function Fact({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div>
      <dt>{title}</dt>
      <dd>{children}</dd>
    </div>
  )
}

/** The contracts that the bundle speaks of, with the signatures of each. */
export function Contracts({ report, names }: { report: Report; names: Names }) {
  const { t } = useTranslation()
  const { events } = report
  /** Who signed: the seal's owner with the seal, or the key's holder; and the handling person. */
  const signatory = (position: number): string => {
    const event = events[position]
    if (event === undefined) return ''
    const seals = names.seals(event.subjects)
    const who = (seals.length > 0 ? seals : event.signers.map((id) => names.signer(id))).join('、')
    const handler = names.disclosed(position, 'handler')
    return handler === null || handler === who ? who : `${who} · ${t('verdict.handlerNote', { name: handler })}`
  }
  return events.map((opened, position) => {
    const contract = opened.subjects[0]
    const title = names.disclosed(position, 'title')
    if (opened.kind !== 'contract.opened' || contract === undefined || title === null) return null
    const number = names.disclosed(position, 'number')
    const signed = events
      .map((event, index) => ({ event, index }))
      .filter(({ event }) => event.kind === 'contract.signed' && event.subjects.includes(contract))
    return (
      <Fact key={contract} title={t('verdict.contract')}>
        <strong>{title}</strong> {number && <span className="quiet">{t('verdict.contractNumber', { number })}</span>}
        {signed.map(({ event, index }) => (
          <span key={index} className="signature">
            <span>
              {t('verdict.signed')} {signatory(index)}
            </span>
            <time dateTime={new Date(event.timeMs).toISOString()}>{formatTime(event.timeMs)}</time>
          </span>
        ))}
      </Fact>
    )
  })
}

export function Facts({ verification, report, names }: { verification: Verification; report: Report; names: Names }) {
  const { t } = useTranslation()
  const valid = report.verdict !== 'INVALID'
  return (
    <dl className="facts">
      {valid && <Contracts report={report} names={names} />}
      {valid && report.head && (
        <Fact title={t('verdict.asOf')}>
          {t('verdict.asOfValue', { height: report.head.height, time: formatTime(report.head.timeMs) })}
          <span className="hex block">{groupHex(report.head.blockId)}</span>
        </Fact>
      )}
      {valid && (
        <Fact title={t('verdict.chain')}>
          {report.chainName}
          <span className="hex block">{groupHex(report.chainId)}</span>
        </Fact>
      )}
      <Provenance verification={verification} />
    </dl>
  )
}

/** Which files were verified, against what, when. */
export function Provenance({ verification }: { verification: Verification }) {
  const { t } = useTranslation()
  const { standalone } = useEnvironment()
  const { files, genesis, trust, verifiedAtMs, elapsedMs } = verification
  return (
    <>
      {files.map((file) => (
        <Fact key={file.name} title={t('verdict.file')}>
          {file.name} <span className="quiet">({formatSize(file.size)})</span>
          {file.sha256 && <span className="hex block">SHA-256 {groupHex(file.sha256)}</span>}
        </Fact>
      ))}
      <Fact title={t('verdict.genesisUsed')}>
        {genesis.name ?? t(standalone ? 'genesis.embedded' : 'genesis.pinned')}
        {genesis.fingerprint && <span className="hex block">SHA-256 {groupHex(genesis.fingerprint)}</span>}
      </Fact>
      <TrustFacts trust={trust} />
      <Fact title={t('verdict.verifiedAt')}>
        {formatTime(verifiedAtMs)}{' '}
        <span className="quiet" data-testid="elapsed" data-ms={elapsedMs}>
          {t('verdict.elapsed', { ms: elapsedMs < 10 ? elapsedMs.toFixed(1) : Math.round(elapsedMs) })}
        </span>
      </Fact>
    </>
  )
}
