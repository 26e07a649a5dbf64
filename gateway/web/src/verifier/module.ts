/**
 * The boundary to the WebAssembly verifier (`evidence/wasm`): one request laid into its memory, one
 * JSON report read back. The module has no imports, so it can reach nothing outside its own memory.
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

interface Exports {
  memory: WebAssembly.Memory
  qz_alloc(length: number): number
  qz_free(address: number, length: number): void
  qz_verify(address: number, length: number): number
}

/** The fields, each behind its 32-bit little-endian length. */
function encode(request: VerifyRequest): Uint8Array {
  const clock = new ArrayBuffer(8)
  new DataView(clock).setBigUint64(0, BigInt(Math.trunc(request.nowMs)), true)
  const none = new ArrayBuffer(0)
  const { file, genesis, proof, witnessPolicy, tsaRoots } = request
  const fields = [file, genesis, proof ?? none, clock, witnessPolicy ?? none, tsaRoots ?? none]
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

/** Runs one verification in an instance of its own and returns the report's JSON. */
export async function runVerifier(module: WebAssembly.Module, request: VerifyRequest): Promise<string> {
  const instance = await WebAssembly.instantiate(module, {})
  const verifier = instance.exports as unknown as Exports
  const bytes = encode(request)
  const address = verifier.qz_alloc(bytes.length)
  new Uint8Array(verifier.memory.buffer, address, bytes.length).set(bytes)
  const answer = verifier.qz_verify(address, bytes.length)
  // The memory may have grown and moved: take its buffer anew.
  const length = new DataView(verifier.memory.buffer).getUint32(answer, true)
  const json = new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(verifier.memory.buffer, answer + 4, length))
  verifier.qz_free(answer, length + 4)
  verifier.qz_free(address, bytes.length)
  return json
}
