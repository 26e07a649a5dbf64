import { describe, expect, it } from 'vitest'
import { parseAny } from '../verifier/packageReport'
import type { Report } from '../verifier/report'
import { headingOf } from './heading'

const heading = (source: object) => headingOf(parseAny(JSON.stringify({ verdict: 'VALID-UNANCHORED', ...source })) as Report)

describe('headingOf', () => {
  it('tells a timestamp that is not there from one that does not count', () => {
    expect(heading({})).toBe('VALID-UNANCHORED')
    expect(heading({ anchors: [{ relied_on: false }] })).toBe('unrelied')
    expect(heading({ anchors: [{ relied_on: true }], steps: [{ n: 11, status: 'pass' }] })).toBe('unwitnessed')
    expect(heading({ verdict: 'INVALID', anchors: [{}] })).toBe('INVALID')
    expect(heading({ verdict: 'VALID', anchors: [{}] })).toBe('VALID')
  })

  it('takes the weakest part of a package', () => {
    const part = (report: object) => ({ path: 'p', report })
    const parts = [part({ verdict: 'VALID' }), part({ verdict: 'VALID-UNANCHORED', anchors: [{}] })]
    expect(heading({ kind: 'court-package', parts })).toBe('unrelied')
  })
})
