/**
 * Look-up by the number of a signing certificate or print copy, from its QR code or typed in: what the parties made
 * public, which is the issuer's word and proves nothing.
 */
import { Alert, Button, Input } from 'antd'
import { type FormEvent, useCallback, useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { type PublicRecord, Refused, type Site, useEnvironment } from '../environment'
import { formatTime, groupHex } from '../format'
import { isObject, text } from '../verifier/report'
import { usePick } from '../verdict/language'

/** Letters, digits and the marks that numbers of contracts use; anything else is no number. */
const NUMBER = /^[\p{L}\p{N}][\p{L}\p{N}\-_.〔〕[\]()（）]{0,63}$/u

/** The number in the QR code's address; what does not look like one is left out. */
export function scannedNumber(): string | null {
  const no = new URLSearchParams(location.search).get('no')
  return no !== null && NUMBER.test(no) ? no : null
}

type State =
  | { kind: 'idle' | 'asking' | 'malformed' | 'unknown' | 'unreachable' }
  | { kind: 'found'; record: PublicRecord }
  | { kind: 'refused'; error: Refused }

/** The fields that can be public, in the order in which they are shown. */
const FIELDS = ['title', 'number', 'parties', 'status', 'document_sha256'] as const
type Field = (typeof FIELDS)[number]

function Value({ field, value }: { field: Field; value: unknown }) {
  const pick = usePick()
  if (Array.isArray(value)) return <>{value.map(text).join('、')}</>
  if (isObject(value)) return <>{pick({ zh: text(value.zh), en: text(value.en) })}</>
  return field === 'document_sha256' ? <span className="hex">{groupHex(text(value))}</span> : <>{text(value)}</>
}

function Found({ record }: { record: PublicRecord }) {
  const { t, i18n } = useTranslation()
  const name = (field: string): string => (i18n.exists(`lookup.field.${field}`) ? t(`lookup.field.${field as Field}`) : field)
  const shown = FIELDS.filter((field) => field in record.public)
  const withheld = record.withheld.map(name).join(i18n.language === 'en' ? ', ' : '、')
  return (
    <div data-testid="lookup-found">
      <p>
        <strong>
          {record.copy === null
            ? t('lookup.issued', { no: record.number, issuer: record.issuer, time: formatTime(record.issuedMs) })
            : t('lookup.copied', { no: record.number, copy: record.copy, issuer: record.issuer, time: formatTime(record.issuedMs) })}
        </strong>
      </p>
      {shown.length > 0 ? (
        <dl className="facts">
          {shown.map((field) => (
            <div key={field}>
              <dt>{name(field)}</dt>
              <dd data-testid={`public-${field}`}>
                <Value field={field} value={record.public[field]} />
              </dd>
            </div>
          ))}
        </dl>
      ) : (
        <p>{t('lookup.nothingPublic')}</p>
      )}
      {shown.length > 0 && withheld !== '' && <p className="quiet">{t('lookup.withheld', { fields: withheld })}</p>}
      <p className="quiet">{record.copy === null ? t('lookup.word') : t('lookup.copyWord')}</p>
    </div>
  )
}

export function Lookup({ site }: { site: Site }) {
  const { t } = useTranslation()
  const pick = usePick()
  const { lookUp } = useEnvironment()
  const [number, setNumber] = useState(scannedNumber() ?? '')
  const [state, setState] = useState<State>({ kind: 'idle' })
  const begun = useRef(false)

  const ask = useCallback(
    async (wanted: string) => {
      if (lookUp === null) return
      if (!NUMBER.test(wanted)) return setState({ kind: 'malformed' })
      setState({ kind: 'asking' })
      try {
        const record = await lookUp(wanted)
        setState(record === null ? { kind: 'unknown' } : { kind: 'found', record })
      } catch (error) {
        setState(error instanceof Refused ? { kind: 'refused', error } : { kind: 'unreachable' })
      }
    },
    [lookUp],
  )

  // The number of a QR code was sent with the address already: looking it up tells nobody more.
  useEffect(() => {
    const scanned = scannedNumber()
    if (begun.current || scanned === null || site.register !== 'own') return
    begun.current = true
    void ask(scanned)
  }, [ask, site.register])

  const submit = (event: FormEvent) => {
    event.preventDefault()
    void ask(number.trim())
  }

  if (site.register === 'none') return null
  if (site.register === 'elsewhere') {
    const scanned = scannedNumber()
    const target = `${site.registerUrl}/verify${scanned === null ? '' : `?no=${encodeURIComponent(scanned)}`}`
    return (
      <section className="panel" aria-labelledby="lookup-title" data-testid="lookup">
        <h2 id="lookup-title">{t('lookup.title')}</h2>
        <p>
          {t('lookup.elsewhere')} <a href={target}>{site.registerUrl}</a>
        </p>
      </section>
    )
  }
  const words =
    state.kind === 'refused' ? pick(state.error.words) : state.kind === 'idle' || state.kind === 'found' ? null : t(`lookup.${state.kind}`)
  return (
    <section className="panel" aria-labelledby="lookup-title" data-testid="lookup">
      <h2 id="lookup-title">{t('lookup.title')}</h2>
      <p className="quiet">{t('lookup.explain')}</p>
      <form className="lookup-form" onSubmit={submit}>
        <label htmlFor="lookup-number">{t('lookup.number')}</label>
        <Input
          id="lookup-number"
          value={number}
          maxLength={64}
          autoComplete="off"
          placeholder="QZ-2026-…"
          onChange={(event) => setNumber(event.target.value)}
        />
        <Button htmlType="submit" disabled={state.kind === 'asking'}>
          {t('lookup.ask')}
        </Button>
      </form>
      <div role="status" data-testid="lookup-result">
        {words !== null && <Alert type={state.kind === 'asking' ? 'info' : 'warning'} role="presentation" title={words} />}
        {state.kind === 'found' && <Found record={state.record} />}
      </div>
    </section>
  )
}
