/**
 * The verdict as a document: conclusion first, then what it rests on. What a file that failed claims
 * about itself is not shown, since nothing of it can be relied on; the steps say where it failed.
 */
import { ArrowLeftOutlined, CheckCircleFilled, CloseCircleFilled, DownloadOutlined, PrinterOutlined } from '@ant-design/icons'
import { Button } from 'antd'
import { useEffect, useRef } from 'react'
import { useTranslation } from 'react-i18next'
import { FilePicker } from '../portal/FilePicker'
import type { Genesis } from '../portal/genesis'
import type { Report } from '../verifier/report'
import { Certificates } from './Certificates'
import { Documents } from './Documents'
import { Events } from './Events'
import { Facts } from './Facts'
import { usePick } from './language'
import { Names } from './names'
import { Organisations } from './Organisations'
import { Remarks } from './Remarks'
import { Steps } from './Steps'
import { Subjects } from './Subjects'

export interface VerifiedFile {
  name: string
  size: number
  sha256: string | null
}

export interface Verification {
  report: Report
  files: VerifiedFile[]
  genesis: Genesis
  verifiedAtMs: number
}

function save({ report, files, genesis, verifiedAtMs }: Verification): void {
  const content = { verified_at_ms: verifiedAtMs, files, genesis_sha256: genesis.fingerprint, report }
  const url = URL.createObjectURL(new Blob([JSON.stringify(content, null, 2)], { type: 'application/json' }))
  const link = document.createElement('a')
  link.href = url
  link.download = `${files[0]?.name ?? 'report'}.verification.json`
  link.click()
  URL.revokeObjectURL(url)
}

interface Props {
  verification: Verification
  /** Back to choosing a file. */
  onAgain: () => void
  /** Verifies the same file anew, together with its proof bundle. */
  onProof: (proof: File) => void
}

export function VerdictView({ verification, onAgain, onProof }: Props) {
  const { t } = useTranslation()
  const pick = usePick()
  const heading = useRef<HTMLHeadingElement>(null)
  const { report, files } = verification
  const names = new Names(report, pick)
  const valid = report.verdict !== 'INVALID'
  const failed = report.steps.find((step) => step.status === 'fail')

  useEffect(() => heading.current?.focus(), [verification])

  return (
    <article className="sheet" data-testid="verdict" data-verdict={report.verdict}>
      <div className="toolbar">
        <Button icon={<ArrowLeftOutlined />} onClick={onAgain}>
          {t('verdict.again')}
        </Button>
        <span className="spring" />
        <Button icon={<DownloadOutlined />} onClick={() => save(verification)}>
          {t('verdict.save')}
        </Button>
        <Button icon={<PrinterOutlined />} onClick={() => window.print()}>
          {t('verdict.print')}
        </Button>
      </div>

      <div className={`conclusion conclusion-${valid ? (report.verdict === 'VALID' ? 'valid' : 'unanchored') : 'invalid'}`}>
        {valid ? <CheckCircleFilled className="conclusion-icon" aria-hidden="true" /> : <CloseCircleFilled className="conclusion-icon" aria-hidden="true" />}
        <div>
          <p className="conclusion-label">{t('verdict.label')}</p>
          <h1 ref={heading} tabIndex={-1}>
            {t(`verdict.${report.verdict}`)}
          </h1>
          {failed && (
            <p className="conclusion-step" data-testid="failed-step" data-step={failed.n}>
              {t('verdict.failedStep', { n: failed.n, title: pick(failed.title) })}
              {pick(failed.detail) && <span>{pick(failed.detail)}</span>}
            </p>
          )}
          <p>{t(`verdict.summary.${report.verdict}`)}</p>
          {failed?.n === 1 && files.length === 1 && (
            <div className="hint">
              <p>{t('verdict.needsProof')}</p>
              <FilePicker label={t('verdict.addProof')} accept=".qzproof" testId="proof-input" onFiles={([file]) => file && onProof(file)} />
            </div>
          )}
        </div>
      </div>

      <Facts verification={verification} names={names} />

      {valid && (
        <>
          <Organisations organisations={report.finalisedBy} />
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
