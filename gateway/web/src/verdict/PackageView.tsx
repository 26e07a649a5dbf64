/** The verdict on a court package: the package's own checks, then each contract in it, then every file. */
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import { formatSize, groupHex, shortHex } from '../format'
import type { PackagePart, PackageReport } from '../verifier/packageReport'
import type { Verifier } from '../verifier/verifier'
import { Anchors } from './Anchors'
import { Conclusion } from './Conclusion'
import { Contracts, Fact, Provenance } from './Facts'
import { usePick } from './language'
import { LaterCheck } from './LaterCheck'
import { Names } from './names'
import { Organisations } from './Organisations'
import { Remarks } from './Remarks'
import { Section } from './Section'
import { Steps } from './Steps'
import { Subjects } from './Subjects'
import { Toolbar } from './Toolbar'
import type { Verification } from './VerdictView'

interface Props {
  verification: Verification
  report: PackageReport
  verifier: Verifier
  onAgain: () => void
}

export function PackageView({ verification, report, verifier, onAgain }: Props) {
  const { t } = useTranslation()
  const pick = usePick()
  const valid = report.verdict !== 'INVALID'
  const proofs = report.parts.filter((part) => part.role === 'proof')
  const none = useMemo(() => new Names(EMPTY, pick), [pick])
  return (
    <article className="sheet" data-testid="verdict" data-verdict={report.verdict} data-kind="court-package">
      <Toolbar verification={verification} onAgain={onAgain} />
      <Conclusion
        report={report}
        failure={
          report.failure && (
            <p className="conclusion-step" data-testid="failed-step" data-step={report.failure.check}>
              {t('package.failedCheck', { n: report.failure.check, path: report.failure.path || '—' })}
              <span>{pick(report.failure.note)}</span>
            </p>
          )
        }
      />
      <dl className="facts">
        {valid && (
          <>
            <Fact title={t('package.case')}>
              <strong>{report.caseNumber}</strong>
            </Fact>
            <Fact title={t('package.court')}>{pick(report.court)}</Fact>
            <Fact title={t('package.madeBy')}>
              {report.madeBy} · {report.made}
            </Fact>
            <Fact title={t('verdict.chain')}>
              {report.chainName}
              <span className="hex block">{groupHex(report.chainId)}</span>
            </Fact>
          </>
        )}
        <Provenance verification={verification} />
      </dl>
      {valid &&
        proofs.map((part) => (
          <ContractPart key={part.path} part={part} report={report} verification={verification} verifier={verifier} />
        ))}
      <Steps steps={report.checks} title={t('package.checks')} hint={t('package.checksHint')} meanings={false} />
      {valid && (
        <Section title={t('package.files')} hint={t('package.filesHint')} testId="package-files">
          <ul className="documents">
            {report.files.map((file) => (
              <li key={file.path} data-testid="package-file">
                <p>
                  <strong>{file.path}</strong> <span className="quiet">{formatSize(file.bytes)}</span>
                </p>
                {pick(file.covered) !== '' && <p className="quiet">{pick(file.covered)}</p>}
                <p className="hex quiet">SHA-256 {groupHex(file.sha256)}</p>
              </li>
            ))}
          </ul>
        </Section>
      )}
      <Remarks name="notChecked" remarks={report.notChecked} names={none} />
      {valid && <Remarks name="assumptions" remarks={report.assumptions} names={none} />}
      <p className="quiet closing">{t('section.notary')}</p>
    </article>
  )
}

/** One contract of the package: who signed when, who finalised it, where it stands, anything later. */
function ContractPart({
  part,
  report,
  verification,
  verifier,
}: {
  part: PackagePart
  report: PackageReport
  verification: Verification
  verifier: Verifier
}) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  const names = useMemo(() => new Names(part.report, pick), [part, i18n.language])
  const contract = report.contracts[part.contract - 1]
  const others = report.parts.filter((other) => other.contract === part.contract && other !== part)
  return (
    <section className="package-contract" data-testid="package-contract">
      <h2 className="package-title">
        {contract?.title} <span className="quiet">{contract && t('verdict.contractNumber', { number: contract.number })}</span>
      </h2>
      <dl className="facts">
        <Contracts report={part.report} names={names} />
        {others.map((other) => (
          <Fact key={other.path} title={pick(other.what) || other.role}>
            {other.path} <span className="state">{t(`verdict.${other.report.verdict}`)}</span>
          </Fact>
        ))}
        {contract && <Fact title={t('package.subject')}>{shortHex(contract.subject)}</Fact>}
      </dl>
      <Organisations organisations={part.report.finalisedBy} />
      <LaterCheck report={part.report} names={names} genesis={verification.genesis} verifier={verifier} />
      <Anchors checkpoint={part.report.checkpoint} anchors={part.report.anchors} names={names} />
      <Subjects subjects={part.report.subjects} names={names} />
      <details className="genesis">
        <summary>{t('package.partSteps')}</summary>
        <Steps steps={part.report.steps} />
      </details>
    </section>
  )
}

/** Names of nothing. */
const EMPTY = {
  verdict: 'INVALID' as const,
  chainId: '',
  chainName: '',
  head: null,
  finalisedBy: [],
  organisations: [],
  steps: [],
  events: [],
  subjects: [],
  disclosures: [],
  documents: [],
  certificates: [],
  checkpoint: null,
  anchors: [],
  notChecked: [],
  assumptions: [],
}
