import { describe, expect, it } from 'vitest'
import { certificates, witnesses } from './trust'

describe('trust inputs as they are shown', () => {
  it('names the witnesses of a policy', () => {
    expect(witnesses('# c\nwitness  one example+1+a\n witness two\tx+2+b\ngroup g any one two\nquorum g\n')).toEqual(['one', 'two'])
    expect(witnesses('')).toEqual([])
  })
  it('reads every certificate of a PEM text, and nothing else', () => {
    const pem = (base64: string) => `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`
    const found = certificates(`# two\n${pem('AAEC')}text\n${pem('/wA=')}`)
    expect(found.map((bytes) => [...new Uint8Array(bytes)])).toEqual([[0, 1, 2], [255, 0]])
    expect(certificates(pem('&&&'))).toEqual([])
  })
})
