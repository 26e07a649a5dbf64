/**
 * Which of the chosen files is what: one PDF, alone or with its proof bundle; a proof bundle alone; or a
 * court package alone.
 */

/** A contract or certificate of this size still fits a phone's memory twice. */
export const LIMIT_MB = 64
/** The format's own bound. */
export const PACKAGE_LIMIT_MB = 256

export interface Selection {
  /** The file that is verified. */
  file: File
  /** The proof bundle that was chosen along with a contract. */
  proof: File | null
}

export type SelectionError =
  | { key: 'error.noFile' | 'error.tooMany' }
  | { key: 'error.unsupported' | 'error.empty'; name: string }
  | { key: 'error.tooLarge'; name: string; limit: number }

const isPdf = (file: File): boolean => /\.pdf$/i.test(file.name) || file.type === 'application/pdf'
const isProof = (file: File): boolean => /\.qzproof$/i.test(file.name)
const isPackage = (file: File): boolean => /\.zip$/i.test(file.name) || file.type === 'application/zip'

/** Sorts the chosen files, or says why they cannot be verified together. */
export function select(files: File[]): Selection | SelectionError {
  if (files.length === 0) return { key: 'error.noFile' }
  if (files.length > 2) return { key: 'error.tooMany' }
  for (const file of files) {
    if (!isPdf(file) && !isProof(file) && !isPackage(file)) return { key: 'error.unsupported', name: file.name }
    if (file.size === 0) return { key: 'error.empty', name: file.name }
    const limit = isPackage(file) ? PACKAGE_LIMIT_MB : LIMIT_MB
    if (file.size > limit * 1024 * 1024) return { key: 'error.tooLarge', name: file.name, limit }
  }
  const [first, second] = files as [File, File | undefined]
  if (second === undefined) return { file: first, proof: null }
  if (isPackage(first) || isPackage(second) || isProof(first) === isProof(second)) return { key: 'error.tooMany' }
  return isProof(first) ? { file: second, proof: first } : { file: first, proof: second }
}

export const isSelection = (value: Selection | SelectionError): value is Selection => 'file' in value
