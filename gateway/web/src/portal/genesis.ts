/**
 * The genesis document that verification starts from: the one that this portal's organisation
 * publishes, or one that the reader brings along.
 */
import { useCallback, useEffect, useState } from 'react'
import { useEnvironment } from '../environment'
import { sha256 } from '../format'

export interface Genesis {
  bytes: ArrayBuffer
  /** `null` for the portal's own. */
  name: string | null
  /** SHA-256 of the file, if the browser can compute it. */
  fingerprint: string | null
}

export type GenesisState = 'loading' | 'missing' | Genesis

/** The genesis in use, a way to replace it by a file, and a way back (`null`). */
export function useGenesis(): [GenesisState, (file: File | null) => Promise<void>] {
  const environment = useEnvironment()
  const [pinned, setPinned] = useState<GenesisState>('loading')
  const [own, setOwn] = useState<Genesis | null>(null)

  useEffect(() => {
    let current = true
    environment
      .genesis()
      .catch(() => 'missing' as const)
      .then((state) => current && setPinned(state))
    return () => {
      current = false
    }
  }, [environment])

  const choose = useCallback(async (file: File | null) => {
    if (file === null) return setOwn(null)
    const bytes = await file.arrayBuffer()
    setOwn({ bytes, name: file.name, fingerprint: await sha256(bytes) })
  }, [])

  return [own ?? pinned, choose]
}
