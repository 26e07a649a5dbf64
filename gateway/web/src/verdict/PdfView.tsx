/**
 * What a PDF's own signatures say, one card for each: who, when, which revision, what it covers, what came
 * later. Nothing of this is about a ledger, and the page says so first.
 */
import { CheckCircleFilled, CloseCircleFilled, ExclamationCircleFilled } from '@ant-design/icons'
import { useEffect, useRef } from 'react'
import { useTranslation } from 'react-i18next'
import { formatTime } from '../format'
import { FilePicker } from '../portal/FilePicker'
import { type LaterChange, type PdfReport, type PdfSignature, type PdfVerdict, pdfTime, type SignatureStatus } from '../verifier/pdfReport'
import { parseName } from './distinguishedName'
import { Fact, Provenance } from './Facts'
import { usePick } from './language'
import { Section } from './Section'
import { Toolbar } from './Toolbar'
import type { Verification } from './VerdictView'

type Tone = 'pass' | 'caution' | 'fail'

const TONES: Record<PdfVerdict, Tone> = {
  valid: 'pass',
  intact: 'caution',
  caution: 'caution',
  unsigned: 'caution',
  changed: 'fail',
  invalid: 'fail',
  undetermined: 'fail',
}
const STATUS_TONES: Record<SignatureStatus, Tone> = { intact: 'pass', caution: 'caution', changed: 'fail', unsupported: 'caution', broken: 'fail' }
const WEIGHT_TONES: Record<LaterChange['weight'], Tone> = { expected: 'pass', permitted: 'caution', forbidden: 'fail' }
const ICONS = { pass: CheckCircleFilled, caution: ExclamationCircleFilled, fail: CloseCircleFilled }

function Badge({ tone, children }: { tone: Tone; children: string }) {
  const Icon = ICONS[tone]
  return (
    <span className={`badge badge-${tone}`}>
      <Icon aria-hidden="true" /> {children}
    </span>
  )
}

const commonName = (name: string): string => parseName(name).find(({ type }) => type === 'CN')?.value ?? name

function Later({ changes }: { changes: LaterChange[] }) {
  const { t } = useTranslation()
  const pick = usePick()
  if (changes.length === 0) return <p>{t('pdf.nothingLater')}</p>
  return (
    <ul className="later-changes">
      {changes.map((change, position) => (
        <li key={position} data-testid="pdf-later" data-weight={change.weight}>
          <Badge tone={WEIGHT_TONES[change.weight]}>{t(`pdf.weight.${change.weight}`)}</Badge> {pick(change.words)}{' '}
          <span className="quiet">{t('pdf.inRevision', { n: change.revision })}</span>
        </li>
      ))}
    </ul>
  )
}

function Signature({ signature, revisions, size }: { signature: PdfSignature; revisions: number; size: number }) {
  const { t } = useTranslation()
  const pick = usePick()
  const { signer, timestamp } = signature
  const who = signer ? commonName(signer.subject) : (timestamp && commonName(timestamp.authority)) || t('pdf.unknownSigner')
  const isStamp = signature.kind === 'document-timestamp'
  const behind = signature.coveredTo === null ? 0 : size - signature.coveredTo
  return (
    <li className={`pdf-signature pdf-signature-${STATUS_TONES[signature.status]}`} data-testid="pdf-signature" data-status={signature.status}>
      <h3>
        <span>{who}</span> <Badge tone={STATUS_TONES[signature.status]}>{t(`pdf.status.${signature.status}`)}</Badge>
      </h3>
      <p>{pick(signature.words)}</p>
      {signature.problems.map((problem, position) => (
        <p key={position} className="status-fail">
          {pick(problem)}
        </p>
      ))}
      <dl className="details">
        <Fact title={t('pdf.kind')}>
          {t(`pdf.kinds.${signature.kind}`)}
          {signature.permits !== null && `（${t(`pdf.permits.${signature.permits as 1}`)}）`}
        </Fact>
        <Fact title={t('pdf.field')}>
          {signature.field}
          {signature.pages.length > 0 && <span className="quiet"> {t('pdf.onPages', { pages: signature.pages.join('、') })}</span>}
        </Fact>
        {signature.claimedTime !== '' && (
          <Fact title={t('pdf.claimedTime')}>
            {pdfTime(signature.claimedTime)} <span className="quiet">{t('pdf.claim')}</span>
          </Fact>
        )}
        {timestamp?.timeMs != null && (
          <Fact title={t('anchor.tsaTime')}>
            {formatTime(timestamp.timeMs)}{' '}
            <span className="quiet">
              {commonName(timestamp.authority)} · {t(timestamp.trusted ? 'anchor.relied' : 'anchor.notRelied')}
            </span>
          </Fact>
        )}
        {timestamp === null && <Fact title={t('anchor.tsaTime')}>{t('pdf.noTimestamp')}</Fact>}
        {signer && (
          <>
            <Fact title={t('pdf.certificate')}>
              {parseName(signer.subject).map(({ type, value }) => `${type}=${value}`).join(', ')}
              <span className="block">
                {t('certificate.issuer')} {commonName(signer.issuer)} · {t('certificate.serial')} <span className="hex">{signer.serial}</span>
              </span>
              <span className="block">
                {t('certificate.validity')} {formatTime(signer.notBeforeMs)} – {formatTime(signer.notAfterMs)}
              </span>
            </Fact>
            {!isStamp && <Fact title={t('pdf.trust')}>{pick(signature.trust)}</Fact>}
          </>
        )}
        {signature.algorithm !== '' && <Fact title={t('pdf.algorithm')}>{signature.algorithm}</Fact>}
        {(signature.reason !== '' || signature.location !== '') && (
          <Fact title={t('pdf.reason')}>{[signature.reason, signature.location].filter(Boolean).join(' · ')}</Fact>
        )}
        <Fact title={t('pdf.revision')}>
          {signature.revision === null ? t('pdf.unknownRevision') : t('pdf.revisionOf', { n: signature.revision, count: revisions })}
        </Fact>
        <Fact title={t('pdf.coverage')}>
          {signature.coveredTo === null
            ? t('pdf.coversNothing')
            : signature.coversWholeFile
              ? t('pdf.coversAll')
              : t('pdf.coversTo', { to: signature.coveredTo, behind })}
        </Fact>
      </dl>
      <h4>{t('pdf.later')}</h4>
      <Later changes={signature.later} />
    </li>
  )
}

interface Props {
  verification: Verification
  report: PdfReport
  onAgain: () => void
  /** Verifies the same file anew, together with its proof bundle. */
  onProof: (proof: File) => void
}

export function PdfView({ verification, report, onAgain, onProof }: Props) {
  const { t } = useTranslation()
  const pick = usePick()
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [report])
  const tone = TONES[report.verdict]
  const Icon = ICONS[tone]
  return (
    <article className="sheet" data-testid="verdict" data-verdict={report.verdict} data-kind="pdf">
      <Toolbar verification={verification} onAgain={onAgain} />
      <div className={`conclusion conclusion-${tone === 'pass' ? 'valid' : tone === 'fail' ? 'invalid' : 'caution'}`}>
        <Icon className="conclusion-icon" aria-hidden="true" />
        <div>
          <p className="conclusion-label">{t('pdf.label')}</p>
          <h1 ref={heading} tabIndex={-1}>
            {pick(report.words)}
          </h1>
          {report.problems.map((problem, position) => (
            <p key={position}>{pick(problem)}</p>
          ))}
          <p data-testid="pdf-scope">{t('pdf.scope')}</p>
          <div className="hint">
            <p>{t('pdf.needsProof')}</p>
            <FilePicker label={t('verdict.addProof')} accept=".qzproof" testId="proof-input" onFiles={([file]) => file && onProof(file)} />
          </div>
        </div>
      </div>
      <dl className="facts">
        <Fact title={t('pdf.extent')}>{t('pdf.extentOf', { pages: report.pages, revisions: report.revisions.length, signatures: report.signatures.length })}</Fact>
        <Provenance verification={verification} />
      </dl>
      {report.signatures.length > 0 && (
        <Section title={t('pdf.signatures')} hint={t('pdf.signaturesHint')} testId="pdf-signatures">
          <ol className="pdf-signatures">
            {report.signatures.map((signature, position) => (
              <Signature key={position} signature={signature} revisions={report.revisions.length} size={report.size} />
            ))}
          </ol>
        </Section>
      )}
      {report.revisions.length > 1 && (
        <Section title={t('pdf.revisions')} hint={t('pdf.revisionsHint')} testId="pdf-revisions">
          <ol className="documents">
            {report.revisions.map((revision) => (
              <li key={revision.number}>
                {t('pdf.revisionTo', { n: revision.number, end: revision.end })}{' '}
                <span className="quiet">
                  {revision.signedBy.length > 0 ? t('pdf.signedBy', { fields: revision.signedBy.join('、') }) : t('pdf.signedByNobody')}
                </span>
              </li>
            ))}
          </ol>
        </Section>
      )}
      {report.warnings.length > 0 && (
        <Section title={t('pdf.warnings')} hint={t('pdf.warningsHint')} testId="pdf-warnings">
          <ul className="later-changes">
            {report.warnings.map((warning, position) => (
              <li key={position}>
                <Badge tone={warning.grave ? 'fail' : 'caution'}>{t(warning.grave ? 'pdf.grave' : 'pdf.notice')}</Badge> {pick(warning.words)}
              </li>
            ))}
          </ul>
        </Section>
      )}
      <p className="quiet closing">{t('section.notary')}</p>
    </article>
  )
}
