import { describe, expect, it } from 'vitest'
import { parseLater } from './later'
import { isPackage, parseAny } from './packageReport'
import type { Report } from './report'

const parse = (source: unknown) => parseAny(JSON.stringify(source)) as Report

describe('parseAny', () => {
  it('takes a verdict that it does not know for INVALID', () => {
    for (const verdict of [undefined, null, 'valid', 'VALID ', 'PROBABLY', true, {}]) {
      expect(parse({ verdict }).verdict).toBe('INVALID')
    }
    expect(parse({ verdict: 'VALID-UNANCHORED' }).verdict).toBe('VALID-UNANCHORED')
  })

  it('takes a step status that it does not know for not checked', () => {
    const { steps } = parse({ steps: [{ n: 1, status: 'pass' }, { n: 2, status: 'fail' }, { n: 3, status: 'skipped' }, { n: 4 }] })
    expect(steps.map((step) => step.status)).toEqual(['pass', 'fail', 'not-checked', 'not-checked'])
  })

  it('never takes a missing match or completeness for true', () => {
    const report = parse({ documents: [{ name: 'a' }, { name: 'b', matches: 'yes' }], subjects: [{ subject: '00', complete: 1 }] })
    expect(report.documents.map((item) => item.matches)).toEqual([null, null])
    expect(report.subjects[0]?.complete).toBe(false)
  })

  it('makes empty what is missing or of another type', () => {
    const report = parse({ head: 7, events: 'none', steps: [null, 3, 'x'], not_checked: [null, { zh: '甲' }, '乙'] })
    expect(report).toMatchObject({ head: null, events: [], steps: [], chainId: '', finalisedBy: [] })
    expect(report.notChecked).toEqual([{ zh: '甲', en: '甲' }, { zh: '乙', en: '乙' }])
  })

  it('falls back to the other language, then to the id', () => {
    const { finalisedBy } = parse({ finalised_by: [{ org: 'court', name_zh: '法院' }, { org: 'notary' }] })
    expect(finalisedBy.map((item) => item.name)).toEqual([
      { zh: '法院', en: '法院' },
      { zh: 'notary', en: 'notary' },
    ])
  })

  it('throws on an error of the verifier and on what is no object', () => {
    expect(() => parse({ error: 'the request ends inside its file' })).toThrow('the request ends')
    expect(() => parse([])).toThrow()
    expect(() => parseAny('{')).toThrow()
  })
})

describe('a court package', () => {
  it('is told apart, and its unknown verdict is INVALID', () => {
    const report = parseAny(JSON.stringify({ kind: 'court-package', verdict: 'FINE', manifest: { case_number: '（2026）民初1号' } }))
    expect(isPackage(report) && [report.verdict, report.caseNumber, report.parts]).toEqual(['INVALID', '（2026）民初1号', []])
    expect(isPackage(parse({ verdict: 'VALID' }))).toBe(false)
  })
})

describe('parseLater', () => {
  const head = { height: 7, time_ms: 1, block_id: '00' }
  it('takes an outcome that it does not know, or one without a block, for invalid', () => {
    expect(parseLater(JSON.stringify({ outcome: 'nothing-later', head })).outcome).toBe('nothing-later')
    expect(parseLater(JSON.stringify({ outcome: 'nothing-later', records: 3 })).outcome).toBe('invalid')
    expect(parseLater(JSON.stringify({ outcome: 'fine', head })).outcome).toBe('invalid')
    expect(() => parseLater('{"error": "no"}')).toThrow('no')
  })
})
