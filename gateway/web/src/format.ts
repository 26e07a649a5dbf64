/** How times, sizes and digests are written. */

const pad = (value: number): string => String(Math.abs(value)).padStart(2, '0')

/** Date and time of the reader's clock with its offset from UTC, as in `2026-03-01 09:05:07 (UTC+08:00)`. */
export function formatTime(ms: number): string {
  const time = new Date(ms)
  if (Number.isNaN(time.getTime())) return '—'
  const offset = -time.getTimezoneOffset()
  const zone = `UTC${offset < 0 ? '-' : '+'}${pad(Math.trunc(offset / 60))}:${pad(offset % 60)}`
  const date = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`
  return `${date} ${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())} (${zone})`
}

/** A digest in groups of eight, which is how people compare them. */
export const groupHex = (hex: string): string => hex.replace(/(.{8})(?=.)/g, '$1 ')

/** A long key or digest by its ends; names stay whole. */
export const shortHex = (value: string): string =>
  /^[0-9a-f]{32,}$/i.test(value) ? `${value.slice(0, 8)}…${value.slice(-8)}` : value

export function formatSize(bytes: number): string {
  return bytes < 1024 * 1024 ? `${Math.max(1, Math.round(bytes / 1024))} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`
}

/** SHA-256 as hexadecimal digits; `null` where the browser offers no digests (an insecure connection). */
export async function sha256(bytes: ArrayBuffer): Promise<string | null> {
  if (!('subtle' in crypto)) return null
  const digest = await crypto.subtle.digest('SHA-256', bytes)
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
