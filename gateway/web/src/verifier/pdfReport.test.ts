import { describe, expect, it } from 'vitest'
import { isPdf, parseAny } from './packageReport'
import { type PdfReport, pdfTime } from './pdfReport'

const parse = (source: object) => parseAny(JSON.stringify({ kind: 'pdf', ...source })) as PdfReport

describe('examinations of PDFs', () => {
  it('take words that they do not know for the worst', () => {
    expect(parse({ verdict: 'fine' }).verdict).toBe('undetermined')
    const report = parse({ verdict: 'valid', signatures: [{ status: 'good', later: [{ weight: 'none' }] }] })
    expect(isPdf(report)).toBe(true)
    expect(report.signatures[0]).toMatchObject({ status: 'broken', signer: null, coversWholeFile: false, later: [{ weight: 'forbidden' }] })
  })

  it('say up to where a signature covers', () => {
    const report = parse({ signatures: [{ byte_range: [0, 10, 20, 30] }, { byte_range: [0, 'x'] }, {}] })
    expect(report.signatures.map((one) => one.coveredTo)).toEqual([50, null, null])
  })

  it('show claimed times as dates', () => {
    expect(pdfTime("D:20261122100000+08'00'")).toBe('2026-11-22 10:00:00 (UTC+08:00)')
    expect(pdfTime('D:20261122100000Z')).toBe('2026-11-22 10:00:00 (UTC)')
    expect(pdfTime('yesterday')).toBe('yesterday')
  })
})
