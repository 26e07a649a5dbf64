/** The built verifier against the published vectors: the browser must say what the command line says. */
import { readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { runLater, runVerifier } from './module'

const read = async (path: string): Promise<ArrayBuffer> => {
  const bytes = await readFile(new URL(path, import.meta.url))
  return new Uint8Array(bytes).buffer
}

interface Report {
  verdict: string
  head: { height: number; block_id: string }
  subjects: { subject: string; records: number }[]
  verified_at_ms: number
  steps: { n: number; status: string }[]
  documents: unknown[]
  not_checked: unknown[]
}

let module: WebAssembly.Module
let bundle: ArrayBuffer
let genesis: ArrayBuffer
let published: Report

beforeAll(async () => {
  module = await WebAssembly.compile(await read('../../public/qz_verify.wasm'))
  bundle = await read('../../../../evidence/vectors/bundle.qzproof')
  genesis = await read('../../../../evidence/vectors/genesis.qz')
  published = JSON.parse(await readFile(new URL('../../../../evidence/vectors/bundle.report.json', import.meta.url), 'utf8')) as Report
})

const verify = async (file: ArrayBuffer, proof: ArrayBuffer | null = null) =>
  JSON.parse(await runVerifier(module, { file, genesis, proof, nowMs: published.verified_at_ms })) as Report

describe('the verifier in WebAssembly', () => {
  it('imports nothing, so it can reach nothing', () => {
    expect(WebAssembly.Module.imports(module)).toEqual([])
  })

  it('reports on the published bundle what the command line reports', async () => {
    const report = await verify(bundle)
    // The published report was made with the contract's file at hand; here there is the bundle alone.
    const { documents, not_checked, steps, ...rest } = report
    expect(published).toMatchObject(rest)
    expect(documents).toHaveLength(1)
    expect(not_checked).not.toHaveLength(0)
    const outcome = (all: Report['steps']) => all.map(({ n, status }) => ({ n, status }))
    expect(outcome(steps)).toEqual(outcome(published.steps))
  })

  it('refuses the bundle with any one byte altered', async () => {
    for (let at = 0; at < bundle.byteLength; at += 41) {
      const altered = bundle.slice(0)
      new Uint8Array(altered)[at]! ^= 1
      const report = await verify(altered)
      expect(report.verdict, `byte ${at}`).toBe('INVALID')
      expect(report.steps.filter((step) => step.status === 'fail')).toHaveLength(1)
    }
  }, 30_000)

  it('refuses a file that the bundle does not speak of', async () => {
    const report = await verify(new TextEncoder().encode('another contract').buffer, bundle)
    expect(report.verdict).toBe('INVALID')
    expect(report.steps.find((step) => step.status === 'fail')?.n).toBe(9)
  })

  it('says of a newer proof whether there is anything later', async () => {
    const state = published.subjects[0]!
    const ask = async (records: number, proof = bundle) => {
      const known = { subject: state.subject, records, height: published.head.height, block_id: published.head.block_id }
      return JSON.parse(await runLater(module, { proof, genesis, known, nowMs: published.verified_at_ms })) as { outcome: string }
    }
    expect((await ask(state.records)).outcome).toBe('nothing-later')
    expect((await ask(state.records + 1)).outcome).toBe('conflict')
    const altered = bundle.slice(0)
    new Uint8Array(altered)[bundle.byteLength >> 1]! ^= 1
    expect((await ask(state.records, altered)).outcome).toBe('invalid')
  })
})
