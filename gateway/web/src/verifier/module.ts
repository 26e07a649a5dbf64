/**
 * The boundary to the WebAssembly verifier (`evidence/wasm`): one request laid into its memory, one
 * JSON answer read back. The module has no imports, so it can reach nothing outside its own memory.
 */

/** What to verify, against which genesis, as of when. */
export interface VerifyRequest {
  file: ArrayBuffer
  genesis: ArrayBuffer
  /** The proof bundle, for a contract that carries none. */
  proof: ArrayBuffer | null
  nowMs: number
  /** The outside witnesses that the user trusts: a policy file. */
  witnessPolicy?: ArrayBuffer | null
  /** Roots of the timestamp authorities that the user trusts, PEM or DER. */
  tsaRoots?: ArrayBuffer | null
}

/** A newer state proof, and what is to be compared with it. */
export interface LaterRequest {
  proof: ArrayBuffer
  genesis: ArrayBuffer
  known: Known
  nowMs: number
}

/** What the evidence showed of a subject. */
export interface Known {
  subject: string
  /** Records that the ledger held about it. */
  records: number
  height: number
  block_id: string
}

interface Exports {
  memory: WebAssembly.Memory
  qz_alloc(length: number): number
  qz_free(address: number, length: number): void
  qz_verify(address: number, length: number): number
  qz_later(address: number, length: number): number
}

function clock(nowMs: number): ArrayBuffer {
  const bytes = new ArrayBuffer(8)
  new DataView(bytes).setBigUint64(0, BigInt(Math.trunc(nowMs)), true)
  return bytes
}

const text = (value: string): ArrayBuffer => new TextEncoder().encode(value).buffer as ArrayBuffer

/** The fields, each behind its 32-bit little-endian length. */
function encode(fields: ArrayBuffer[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, field) => sum + 4 + field.byteLength, 0))
  const view = new DataView(bytes.buffer)
  let offset = 0
  for (const field of fields) {
    view.setUint32(offset, field.byteLength, true)
    bytes.set(new Uint8Array(field), offset + 4)
    offset += 4 + field.byteLength
  }
  return bytes
}

/** Calls one export in an instance of its own, so that nothing of one file is left for the next. */
async function call(module: WebAssembly.Module, name: 'qz_verify' | 'qz_later', fields: ArrayBuffer[]): Promise<string> {
  const instance = await WebAssembly.instantiate(module, {})
  const verifier = instance.exports as unknown as Exports
  const bytes = encode(fields)
  const address = verifier.qz_alloc(bytes.length)
  new Uint8Array(verifier.memory.buffer, address, bytes.length).set(bytes)
  const answer = verifier[name](address, bytes.length)
  // The memory may have grown and moved: take its buffer anew.
  const length = new DataView(verifier.memory.buffer).getUint32(answer, true)
  const json = new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(verifier.memory.buffer, answer + 4, length))
  verifier.qz_free(answer, length + 4)
  verifier.qz_free(address, bytes.length)
  return json
}

/** Verifies and returns the report's JSON. */
export function runVerifier(module: WebAssembly.Module, request: VerifyRequest): Promise<string> {
  const none = new ArrayBuffer(0)
  const { file, genesis, proof, nowMs, witnessPolicy, tsaRoots } = request
  const fields = [file, genesis, proof ?? none, clock(nowMs), witnessPolicy ?? none, tsaRoots ?? none]
  return call(module, 'qz_verify', fields)
}

/** Compares evidence with a newer state proof and returns the answer's JSON. */
export const runLater = (module: WebAssembly.Module, { proof, genesis, known, nowMs }: LaterRequest): Promise<string> =>
  call(module, 'qz_later', [proof, genesis, text(JSON.stringify(known)), clock(nowMs)])
