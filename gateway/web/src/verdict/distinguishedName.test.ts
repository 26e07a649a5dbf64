import { expect, it } from 'vitest'
import { parseName } from './distinguishedName'

it('takes a name apart and decodes hexadecimal values', () => {
  expect(parseName('CN=启明 合同专用章,2.5.4.97=#0c034e5452,O=A\\, B,C=CN')).toEqual([
    { type: 'CN', value: '启明 合同专用章' },
    { type: 'organizationIdentifier', value: 'NTR' },
    { type: 'O', value: 'A, B' },
    { type: 'C', value: 'CN' },
  ])
})

it('leaves alone what it cannot decode', () => {
  expect(parseName('2.5.4.97=#0c054e54')).toEqual([{ type: 'organizationIdentifier', value: '#0c054e54' }])
  expect(parseName('no attribute')).toEqual([{ type: '', value: 'no attribute' }])
  expect(parseName('')).toEqual([])
})
