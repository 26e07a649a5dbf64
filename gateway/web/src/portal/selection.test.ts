import { describe, expect, it } from 'vitest'
import { LIMIT_MB, PACKAGE_LIMIT_MB, select } from './selection'

const file = (name: string, size = 1) => ({ name, size, type: '' }) as File
const pdf = file('a.pdf')
const proof = file('a.QZPROOF')
const court = file('package.zip', LIMIT_MB * 1024 * 1024 + 1)

describe('select', () => {
  const table: [string, File[], unknown][] = [
    ['a PDF', [pdf], { file: pdf, proof: null }],
    ['a proof bundle', [proof], { file: proof, proof: null }],
    ['a contract, then its proof', [pdf, proof], { file: pdf, proof }],
    ['a proof, then its contract', [proof, pdf], { file: pdf, proof }],
    ['a PDF without an extension', [{ ...file('a'), type: 'application/pdf' } as File], { proof: null }],
    ['a court package, which may be larger', [court], { file: court, proof: null }],
    ['a court package with a proof', [court, proof], { key: 'error.tooMany' }],
    ['a court package beyond its format', [file('a.zip', PACKAGE_LIMIT_MB * 1024 * 1024 + 1)], { key: 'error.tooLarge', limit: 256 }],
    ['nothing', [], { key: 'error.noFile' }],
    ['two PDFs', [pdf, file('b.pdf')], { key: 'error.tooMany' }],
    ['two proofs', [proof, file('b.qzproof')], { key: 'error.tooMany' }],
    ['three files', [pdf, proof, pdf], { key: 'error.tooMany' }],
    ['a picture', [file('a.png')], { key: 'error.unsupported', name: 'a.png' }],
    ['a proof with a picture', [proof, file('a.png')], { key: 'error.unsupported', name: 'a.png' }],
    ['an empty file', [file('a.pdf', 0)], { key: 'error.empty', name: 'a.pdf' }],
    ['the largest file', [file('a.pdf', LIMIT_MB * 1024 * 1024)], { proof: null }],
    ['a larger one', [file('a.pdf', LIMIT_MB * 1024 * 1024 + 1)], { key: 'error.tooLarge', name: 'a.pdf' }],
  ]
  it.each(table)('%s', (_, files, expected) => {
    expect(select(files)).toMatchObject(expected as object)
  })
})
