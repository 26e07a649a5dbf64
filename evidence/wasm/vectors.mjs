// The browser's verifier (WASM) over every vector that `qz-conformance` wrote: `node vectors.mjs FOLDER MODULE`.
// A greatest age of the state is no field of its requests, and of a PDF without a proof it gives no verdict: both are
// counted apart. Exit codes: 0 everything is as expected, 1 it is not.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder, path] = process.argv.slice(2)
const vectors = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))
const program = new WebAssembly.Module(readFileSync(path))
const read = (name) => (name === null ? Buffer.alloc(0) : readFileSync(join(folder, name)))

function request(vector) {
  const clock = Buffer.alloc(8)
  clock.writeBigUInt64LE(BigInt(vector.as_of_ms))
  const { file, genesis, proof, witness_policy: policy, tsa_roots: roots } = vector
  const field = (bytes) => {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return [length, bytes]
  }
  return Buffer.concat([read(file), read(genesis), read(proof), clock, read(policy), read(roots)].flatMap(field))
}

function verify({ memory, qz_alloc: alloc, qz_free: free, qz_verify: run }, bytes) {
  const place = alloc(bytes.length)
  new Uint8Array(memory.buffer).set(bytes, place)
  const answer = run(place, bytes.length)
  const length = new DataView(memory.buffer).getUint32(answer, true)
  const report = JSON.parse(Buffer.from(memory.buffer, answer + 4, length).toString())
  free(place, bytes.length)
  free(answer, length + 4)
  return report
}

const counts = { accepted: 0, refused: 0, aged: 0, alone: 0 }
let wrong = 0
let { exports } = new WebAssembly.Instance(program, {})
for (const vector of vectors) {
  if (vector.max_age_ms !== null) {
    counts.aged += 1
    continue
  }
  let said
  try {
    const report = verify(exports, request(vector))
    const step = report.steps?.find(({ status }) => status === 'fail')?.n ?? null
    said = { verdict: report.kind === 'pdf' ? 'none' : report.verdict, step }
  } catch (error) {
    said = { verdict: String(error), step: null }
    ;({ exports } = new WebAssembly.Instance(program, {}))
  }
  if (said.verdict === 'none' && vector.verdict === 'INVALID' && vector.proof === null) {
    counts.alone += 1
  } else if (said.verdict !== vector.verdict || (vector.step !== null && vector.step !== said.step)) {
    wrong += 1
    console.log(`  ${vector.name}: expected ${vector.verdict} ${vector.step}, got ${said.verdict} ${said.step}`)
  } else {
    counts[vector.verdict === 'INVALID' ? 'refused' : 'accepted'] += 1
  }
}
console.log(
  `WASM    ${counts.accepted} accepted · ${counts.refused} refused by the right step · ${counts.aged} with a greatest age, ${counts.alone} without a proof left out · ${wrong} wrong`,
)
process.exit(wrong === 0 && counts.accepted > 0 && counts.refused > 0 ? 0 : 1)
