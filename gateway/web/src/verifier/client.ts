/** The page's side of the verification worker. */
import type { VerifyRequest } from './module'
import { parseReport, type Report } from './report'
import type { FromWorker, ToWorker } from './worker'

/** A verification takes milliseconds; past this the file is taken for one that cannot be verified. */
const TIMEOUT_MS = 60_000

type Loading = 'loading' | 'ready' | 'unavailable'

interface Pending {
  resolve: (report: Report) => void
  reject: (error: Error) => void
}

export class Verifier {
  private worker: Worker | null = null
  private pending = new Map<number, Pending>()
  private nextId = 1

  /** Loads the verifier from `url` and tells `onState` how that goes. */
  constructor(
    private readonly url: string,
    private readonly onState: (state: Loading) => void,
  ) {
    this.start()
  }

  /** Verifies in the worker. The buffers are copied, so the caller may use them again. */
  verify(request: VerifyRequest): Promise<Report> {
    const id = this.nextId++
    return new Promise<Report>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.start()
        reject(new Error('time limit'))
      }, TIMEOUT_MS)
      const settle = <T>(finish: (value: T) => void) => (value: T) => {
        clearTimeout(timer)
        this.pending.delete(id)
        finish(value)
      }
      this.pending.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.send({ type: 'verify', id, request })
    })
  }

  /** Ends the worker. */
  close(): void {
    this.worker?.terminate()
    this.worker = null
  }

  private start(): void {
    this.close()
    this.onState('loading')
    this.worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
    this.worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.receive(data)
    this.worker.onerror = () => this.onState('unavailable')
    this.send({ type: 'load', url: this.url })
  }

  private send(message: ToWorker): void {
    this.worker?.postMessage(message)
  }

  private receive(message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        return this.onState('ready')
      case 'unavailable':
        return this.onState('unavailable')
      case 'failed':
        return this.pending.get(message.id)?.reject(new Error(message.reason))
      case 'report': {
        const pending = this.pending.get(message.id)
        try {
          return pending?.resolve(parseReport(message.json))
        } catch (error) {
          return pending?.reject(error instanceof Error ? error : new Error(String(error)))
        }
      }
    }
  }
}
