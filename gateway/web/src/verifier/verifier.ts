/** What the page asks of a verifier, whether that runs in a worker or, in the single file, on the page. */
import type { LaterRequest, VerifyRequest } from './module'
import type { Later } from './later'
import type { AnyReport } from './packageReport'

export type Loading = 'loading' | 'ready' | 'unavailable'

export interface Verified {
  report: AnyReport
  /** Time that the verification took, without reading the file. */
  elapsedMs: number
}

export interface Verifier {
  verify(request: VerifyRequest): Promise<Verified>
  later(request: LaterRequest): Promise<Later>
  close(): void
}
