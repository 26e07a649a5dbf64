/**
 * Whose cosignatures and timestamps count: what the portal's operator chose, or what the reader brings
 * along. Without either the best verdict is VALID-UNANCHORED.
 */
import { useCallback, useEffect, useMemo, useState } from 'react'
import type { Site } from '../environment'
import { sha256 } from '../format'

/** A trust input in use. */
export interface TrustInput {
  text: string
  /** The reader's file; `null` for the operator's choice. */
  name: string | null
  /** SHA-256 of the policy, or of each certificate (DER); `null` where the browser offers no digests. */
  fingerprints: (string | null)[]
}

export interface Trust {
  /** C2SP witness policy. */
  witnessPolicy: TrustInput | null
  /** PEM roots of timestamp authorities. */
  tsaRoots: TrustInput | null
}

export type TrustKind = keyof Trust

export const NO_TRUST: Trust = { witnessPolicy: null, tsaRoots: null }

const LIMIT = 256 * 1024

/** Names of the witnesses in a C2SP policy; only for display, the verifier reads the policy itself. */
export function witnesses(policy: string): string[] {
  return policy
    .split('\n')
    .map((line) => line.trim().split(/[ \t]+/))
    .filter((words) => words[0] === 'witness')
    .flatMap((words) => (words[1] === undefined ? [] : [words[1]]))
}

/** The certificates of a PEM text; only for display. */
export function certificates(pem: string): ArrayBuffer[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.flatMap((block) => {
    try {
      const text = atob(block.replace(/-----[A-Z ]+-----|\s/g, ''))
      return [Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer as ArrayBuffer]
    } catch {
      return []
    }
  })
}

async function input(kind: TrustKind, text: string | null, name: string | null): Promise<TrustInput | null> {
  if (text === null) return null
  const parts = kind === 'witnessPolicy' ? [new TextEncoder().encode(text).buffer as ArrayBuffer] : certificates(text)
  return { text, name, fingerprints: await Promise.all(parts.map(sha256)) }
}

/** What the operator chose, what is in use, and a way to bring files or (`null`) to go back. */
export function useTrust(site: Site | null): [Trust | null, (kind: TrustKind, files: File[] | null) => Promise<boolean>] {
  const [operators, setOperators] = useState<Trust | null>(null)
  const [own, setOwn] = useState<Trust>(NO_TRUST)
  useEffect(() => {
    if (site === null) return
    let current = true
    Promise.all([input('witnessPolicy', site.witnessPolicy, null), input('tsaRoots', site.tsaRoots, null)]).then(
      ([witnessPolicy, tsaRoots]) => current && setOperators({ witnessPolicy, tsaRoots }),
      () => current && setOperators(NO_TRUST),
    )
    return () => {
      current = false
    }
  }, [site])

  const choose = useCallback(async (kind: TrustKind, files: File[] | null): Promise<boolean> => {
    if (files === null) {
      setOwn((before) => ({ ...before, [kind]: null }))
      return true
    }
    if (files.some((file) => file.size > LIMIT)) return false
    const text = (await Promise.all(files.map((file) => file.text()))).join('\n')
    const usable = kind === 'witnessPolicy' ? /^quorum[ \t]/m.test(text) : certificates(text).length > 0
    if (!usable) return false
    const chosen = await input(kind, text, files.map((file) => file.name).join(' + '))
    setOwn((before) => ({ ...before, [kind]: chosen }))
    return true
  }, [])

  const inUse = useMemo(
    () =>
      operators && {
        witnessPolicy: own.witnessPolicy ?? operators.witnessPolicy,
        tsaRoots: own.tsaRoots ?? operators.tsaRoots,
      },
    [operators, own],
  )
  return [inUse, choose]
}
