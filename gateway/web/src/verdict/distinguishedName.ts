/**
 * Distinguished names of X.509 certificates as RFC 4514 strings, made readable: attributes apart, and
 * values that the writer left as hexadecimal DER (`#0c18…`) as text.
 */

export interface Attribute {
  type: string
  value: string
}

/** Attribute types that writers give by number, by their usual short names. */
const TYPES: Record<string, string> = { '2.5.4.97': 'organizationIdentifier', '2.5.4.5': 'serialNumber' }

/** UTF8String and PrintableString of less than 128 bytes; anything else stays as it stands. */
function decode(value: string): string {
  const match = /^#(?:0c|13)([0-9a-f]{2})((?:[0-9a-f]{2})*)$/i.exec(value)
  const [, length = '', content = ''] = match ?? []
  if (match === null || Number.parseInt(length, 16) !== content.length / 2 || content.length > 254) return value
  const bytes = Uint8Array.from(content.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
  return new TextDecoder().decode(bytes)
}

/** The attributes of a name in the order of the string. */
export function parseName(name: string): Attribute[] {
  return (name.match(/(?:\\.|[^,+\\])+/g) ?? []).map((part) => {
    const at = part.indexOf('=')
    const type = part.slice(0, Math.max(at, 0)).trim()
    const value = part.slice(at + 1).replace(/\\(.)/g, '$1')
    return { type: TYPES[type] ?? type, value: decode(value) }
  })
}
