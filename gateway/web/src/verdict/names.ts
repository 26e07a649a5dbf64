/** Names for the ids in a report, taken from what the bundle discloses and the ledger committed to. */
import { shortHex } from '../format'
import type { Bilingual, Report } from '../verifier/report'

/** Kinds whose first subject is created by the record, and the disclosure that names it. */
const NAMED_BY: Record<string, readonly string[]> = {
  'key.registered': ['name', 'title'],
  'seal.made': ['name', 'title'],
  'contract.opened': ['title', 'name'],
}

export class Names {
  private readonly subjects = new Map<string, string>()

  constructor(
    private readonly report: Report,
    private readonly pick: (text: Bilingual) => string,
  ) {
    report.events.forEach((event, position) => {
      const created = event.subjects[0]
      for (const name of NAMED_BY[event.kind] ?? []) {
        const value = this.disclosed(position, name)
        if (created === undefined || value === null || this.subjects.has(created)) continue
        // Many companies call their seals alike: say whose it is.
        const owner = event.kind === 'seal.made' ? event.signers[0] : undefined
        this.subjects.set(created, owner === undefined ? value : `${this.signer(owner)} ${value}`)
      }
    })
  }

  /** The value that event number `event` discloses under `name`. */
  disclosed(event: number, name: string): string | null {
    return this.report.disclosures.find((item) => item.event === event && item.name === name)?.value ?? null
  }

  /** The disclosed name of a subject, if there is one. */
  subject(id: string): string | null {
    return this.subjects.get(id) ?? null
  }

  /** A member organisation's name. */
  organisation(id: string): string {
    const found = [...this.report.organisations, ...this.report.finalisedBy].find((item) => item.org === id)
    return found ? this.pick(found.name) : id
  }

  /** A signer: a key's holder, an organisation, or the id's ends if nothing is disclosed. */
  signer(id: string): string {
    return id.startsWith('org:') ? this.organisation(id.slice(4)) : (this.subject(id) ?? shortHex(id))
  }

  /** `text` with the ids of named subjects replaced by their names, and of others by their ends. */
  inText(text: string): string {
    return text.replace(/\b[0-9a-f]{64}\b/g, (id) => this.subject(id) ?? shortHex(id))
  }

  /** Names of the seals among `ids`; an unnamed one by its id. */
  seals(ids: string[]): string[] {
    return ids
      .filter((id) => this.report.subjects.some((item) => item.subject === id && item.type === 'seal'))
      .map((id) => this.subject(id) ?? shortHex(id))
  }
}
