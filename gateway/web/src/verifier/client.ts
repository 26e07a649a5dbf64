/** The page's side of the verification worker. */
import { parseLater } from './later'
import { parseAny } from './packageReport'
import type { Loading, Verifier } from './verifier'
import type { FromWorker, ToWorker } from './worker'

/** A verification takes milliseconds; past this the file is taken for one that cannot be verified. */
const TIMEOUT_MS = 60_000

interface Answer {
  json: string
  elapsedMs: number
}

interface Pending {
  resolve: (answer: Answer) => void
  reject: (error: Error) => void
}

type Ask = ToWorker extends infer Message ? (Message extends { id: number } ? Omit<Message, 'id'> : never) : never

class WorkerVerifier {
  private worker: Worker | null = null
  private pending = new Map<number, Pending>()
  private nextId = 1

  constructor(
    private readonly url: string,
    private readonly onState: (state: Loading) => void,
  ) {
    this.start()
  }

  /** Asks the worker. The buffers are copied, so the caller may use them again. */
  ask(message: Ask): Promise<Answer> {
    const id = this.nextId++
    return new Promise<Answer>((resolve, reject) => {
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
      this.send({ ...message, id })
    })
  }

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
      case 'answer':
        return this.pending.get(message.id)?.resolve(message)
    }
  }
}

/** A verifier in a worker that loads the module from `url`; tells `onState` how that goes. */
export function workerVerifier(url: string, onState: (state: Loading) => void): Verifier {
  const worker = new WorkerVerifier(url, onState)
  return {
    async verify(request) {
      const { json, elapsedMs } = await worker.ask({ type: 'verify', request })
      return { report: parseAny(json), elapsedMs }
    },
    later: async (request) => parseLater((await worker.ask({ type: 'later', request })).json),
    close: () => worker.close(),
  }
}
