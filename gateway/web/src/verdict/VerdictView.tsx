/**
 * The verdict as a document: conclusion first, then what it rests on. What a file that failed claims
 * about itself is not shown, since nothing of it can be relied on; the steps say where it failed.
 */
import { useMemo } from 'react'
import { useTranslation } from 'react-i18next'
import type { Site } from '../environment'
import { FilePicker } from '../portal/FilePicker'
import type { Genesis } from '../portal/genesis'
import type { Trust } from '../portal/trust'
import type { AnyReport } from '../verifier/packageReport'
import type { Report } from '../verifier/report'
import type { Verifier } from '../verifier/verifier'
import { Anchors } from './Anchors'
import { Certificates } from './Certificates'
import { Conclusion } from './Conclusion'
import { Documents } from './Documents'
import { Events } from './Events'
import { Facts } from './Facts'
import { usePick } from './language'
import { LaterCheck } from './LaterCheck'
import { Names } from './names'
import { Organisations } from './Organisations'
import { Remarks } from './Remarks'
import { Steps } from './Steps'
import { Subjects } from './Subjects'
import { Toolbar } from './Toolbar'

export interface VerifiedFile {
  name: string
  size: number
  sha256: string | null
}

export interface Verification {
  report: AnyReport
  files: VerifiedFile[]
  genesis: Genesis
  site: Site
  trust: Trust
  verifiedAtMs: number
  elapsedMs: number
}

interface Props {
  verification: Verification
  report: Report
  verifier: Verifier
  /** Back to choosing a file. */
  onAgain: () => void
  /** Verifies the same file anew, together with its proof bundle. */
  onProof: (proof: File) => void
}

export function VerdictView({ verification, report, verifier, onAgain, onProof }: Props) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  const { files, genesis, trust } = verification
  // The language is what `pick` depends on.
  const names = useMemo(() => new Names(report, pick), [report, i18n.language])
  const valid = report.verdict !== 'INVALID'
  const failed = report.steps.find((step) => step.status === 'fail')

  return (
    <article className="sheet" data-testid="verdict" data-verdict={report.verdict}>
      <Toolbar verification={verification} onAgain={onAgain} />
      <Conclusion
        report={report}
        failure={
          failed && (
            <p className="conclusion-step" data-testid="failed-step" data-step={failed.n}>
              {t('verdict.failedStep', { n: failed.n, title: pick(failed.title) })}
              {pick(failed.detail) && <span>{pick(failed.detail)}</span>}
            </p>
          )
        }
      >
        {report.verdict === 'VALID-UNANCHORED' && report.anchors.length > 0 && (trust.witnessPolicy === null || trust.tsaRoots === null) && (
          <p className="quiet" data-testid="trust-hint">{t('verdict.trustHint')}</p>
        )}
        {failed?.n === 1 && files.length === 1 && (
          <div className="hint">
            <p>{t('verdict.needsProof')}</p>
            <FilePicker label={t('verdict.addProof')} accept=".qzproof" testId="proof-input" onFiles={([file]) => file && onProof(file)} />
          </div>
        )}
      </Conclusion>

      <Facts verification={verification} report={report} names={names} />

      {valid && (
        <>
          <Organisations organisations={report.finalisedBy} />
          <LaterCheck report={report} names={names} genesis={genesis} verifier={verifier} />
          <Anchors checkpoint={report.checkpoint} anchors={report.anchors} names={names} />
          <Documents report={report} fileName={files.length > 1 ? files[0]?.name : undefined} />
          <Events report={report} names={names} part="course" />
          <Events report={report} names={names} part="registrations" />
          <Subjects subjects={report.subjects} names={names} />
          <Certificates certificates={report.certificates} />
        </>
      )}
      <Steps steps={report.steps} />
      <Remarks name="notChecked" remarks={report.notChecked} names={names} />
      {valid && <Remarks name="assumptions" remarks={report.assumptions} names={names} />}
      <p className="quiet closing">{t('section.notary')}</p>
    </article>
  )
}
