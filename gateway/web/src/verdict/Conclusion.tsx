/** The verdict in one box; its heading takes the focus, so that it is read first. */
import { CheckCircleFilled, CloseCircleFilled } from '@ant-design/icons'
import { type ReactNode, useEffect, useRef } from 'react'
import { useTranslation } from 'react-i18next'
import { headingOf } from './heading'
import type { PackageReport } from '../verifier/packageReport'
import type { Report, Verdict } from '../verifier/report'

const KINDS: Record<Verdict, string> = { 'VALID': 'valid', 'VALID-UNANCHORED': 'unanchored', 'INVALID': 'invalid' }

export function Conclusion({ report, failure, children }: { report: Report | PackageReport; failure: ReactNode; children?: ReactNode }) {
  const { t } = useTranslation()
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [report])
  const Icon = report.verdict === 'INVALID' ? CloseCircleFilled : CheckCircleFilled
  return (
    <div className={`conclusion conclusion-${KINDS[report.verdict]}`}>
      <Icon className="conclusion-icon" aria-hidden="true" />
      <div>
        <p className="conclusion-label">{t('verdict.label')}</p>
        <h1 ref={heading} tabIndex={-1}>
          {t(`verdict.${headingOf(report)}`)}
        </h1>
        {failure}
        <p>{t(`verdict.summary.${headingOf(report)}`)}</p>
        {children}
      </div>
    </div>
  )
}
