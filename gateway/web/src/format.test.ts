import { expect, it } from 'vitest'
import { formatTime, groupHex, sha256, shortHex } from './format'

it('writes times with their zone', () => {
  expect(formatTime(0)).toMatch(/^19(69|70)-\d\d-\d\d \d\d:\d\d:\d\d \(UTC[+-]\d\d:\d\d\)$/)
  expect(formatTime(Number.NaN)).toBe('—')
})

it('groups digests and shortens ids, but leaves names whole', () => {
  expect(groupHex('0011223344556677')).toBe('00112233 44556677')
  expect(shortHex('ab'.repeat(32))).toBe('abababab…abababab')
  expect(shortHex('海纳精密制造有限公司')).toBe('海纳精密制造有限公司')
})

it('computes SHA-256', async () => {
  const bytes = new TextEncoder().encode('abc').buffer
  expect(await sha256(bytes)).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
