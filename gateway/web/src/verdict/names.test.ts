import { expect, it } from 'vitest'
import { readReport } from '../verifier/report'
import { Names } from './names'

const key = 'a1'.repeat(32)
const seal = 'b2'.repeat(32)
const report = readReport({
    finalised_by: [{ org: 'notary', name_zh: '公证处', name_en: 'Notary' }],
    events: [
      { kind: 'key.registered', subjects: [key] },
      { kind: 'contract.signed', subjects: ['c3'.repeat(32), seal], signers: [key] },
      { kind: 'key.rotated', subjects: [key] },
    ],
    subjects: [{ subject: seal, type: 'seal' }],
    disclosures: [
      { event: 0, name: 'name', value: '王建国' },
      { event: 1, name: 'name', value: '冒名者' },
      { event: 2, name: 'name', value: '改名者' },
    ],
})
const names = new Names(report, (text) => text.zh)

it('names a key by the record that created it, and by no other', () => {
  expect(names.signer(key)).toBe('王建国')
})

it('names organisations, and shows the id of what is not disclosed', () => {
  expect(names.signer('org:notary')).toBe('公证处')
  expect(names.signer('org:other')).toBe('other')
  expect(names.seals([key, seal])).toEqual(['b2b2b2b2…b2b2b2b2'])
  expect(names.inText(`主体 ${key} 与 ${seal}`)).toBe('主体 王建国 与 b2b2b2b2…b2b2b2b2')
})
