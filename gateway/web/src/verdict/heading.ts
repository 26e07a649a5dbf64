/** Which heading a verdict gets. What keeps a proof from VALID is named, as `Report::heading` of the verifier does. */
import { isPackage, type PackageReport } from '../verifier/packageReport'
import type { Report, Verdict } from '../verifier/report'

export type Heading = Verdict | 'unrelied' | 'unwitnessed'

export function headingOf(report: Report | PackageReport): Heading {
  if (isPackage(report)) {
    const weakest = report.parts.find((part) => part.report.verdict === report.verdict)
    return weakest === undefined ? report.verdict : headingOf(weakest.report)
  }
  if (report.verdict !== 'VALID-UNANCHORED') return report.verdict
  if (report.steps.some((step) => step.n === 11 && step.status === 'pass')) return 'unwitnessed'
  return report.anchors.length > 0 ? 'unrelied' : 'VALID-UNANCHORED'
}
