/** The verifier's report about a court package, as the page shows it; as forgiving as `report.ts`, and no more. */
import { type PdfReport, readPdf } from './pdfReport'
import {
  type Bilingual,
  type Report,
  type Step,
  type Verdict,
  bilingual,
  count,
  isObject,
  objects,
  readReport,
  readSteps,
  sentence,
  sentences,
  text,
  verdict,
} from './report'

export interface PackageFile {
  path: string
  role: string
  bytes: number
  sha256: string
  /** What vouches for it. */
  covered: Bilingual
}

/** A file of the package that was verified by itself. */
export interface PackagePart {
  path: string
  role: string
  /** Which of the contracts, from 1; 0 for none. */
  contract: number
  what: Bilingual
  report: Report
}

export interface PackageReport {
  kind: 'court-package'
  verdict: Verdict
  failure: { check: number; path: string; note: Bilingual } | null
  caseNumber: string
  /** By name, as the ledger has it; the manifest's id while that was not verified. */
  court: Bilingual
  made: string
  madeBy: string
  chainName: string
  chainId: string
  contracts: { folder: string; title: string; number: string; subject: string }[]
  checks: Step[]
  files: PackageFile[]
  parts: PackagePart[]
  notChecked: Bilingual[]
  assumptions: Bilingual[]
}

export type AnyReport = Report | PackageReport | PdfReport

export const isPackage = (report: AnyReport): report is PackageReport => 'kind' in report && report.kind === 'court-package'
export const isPdf = (report: AnyReport): report is PdfReport => 'kind' in report && report.kind === 'pdf'

/** Reads a report of any kind; throws only if it is no JSON object, or an error of the verifier. */
export function parseAny(json: string): AnyReport {
  const source: unknown = JSON.parse(json)
  if (!isObject(source)) throw new Error('the report is not an object')
  if (typeof source.error === 'string') throw new Error(source.error)
  if (source.kind === 'pdf') return readPdf(source)
  if (source.kind !== 'court-package') return readReport(source)
  const manifest = isObject(source.manifest) ? source.manifest : {}
  const madeBy = isObject(manifest.made_by) ? manifest.made_by : {}
  const court = isObject(source.court) ? source.court : {}
  const failure = isObject(source.failure) ? source.failure : null
  return {
    kind: 'court-package',
    verdict: verdict(source.verdict),
    failure: failure && { check: count(failure.check), path: text(failure.path), note: sentence(failure) },
    caseNumber: text(manifest.case_number),
    court: {
      zh: text(court.name_zh) || text(manifest.court),
      en: text(court.name_en) || text(manifest.court),
    },
    made: text(manifest.made),
    madeBy: text(madeBy.name),
    chainName: text(manifest.chain_name),
    chainId: text(manifest.chain_id),
    contracts: objects(manifest.contracts).map((item) => ({
      folder: text(item.folder),
      title: text(item.title),
      number: text(item.number),
      subject: text(item.subject),
    })),
    checks: readSteps(source.checks),
    files: objects(source.files).map((item) => ({
      path: text(item.path),
      role: text(item.role),
      bytes: count(item.bytes),
      sha256: text(item.sha256),
      covered: bilingual(item, 'covered'),
    })),
    parts: objects(source.parts).flatMap((item) =>
      isObject(item.report)
        ? [
            {
              path: text(item.path),
              role: text(item.role),
              contract: count(item.contract),
              what: bilingual(item, 'what'),
              report: readReport(item.report),
            },
          ]
        : [],
    ),
    notChecked: sentences(source.not_checked),
    assumptions: sentences(source.assumptions),
  }
}
