/** What happened on chain, in its order, with what the bundle discloses of each record. */
import { useTranslation } from 'react-i18next'
import { formatTime, groupHex } from '../format'
import type { Report } from '../verifier/report'
import { usePick } from './language'
import type { Names } from './names'
import { Section } from './Section'

/** Records about who signs and with what come before the contract's own course. */
const isRegistration = (kind: string): boolean => /^(key|seal|evidence)\./.test(kind)

interface Props {
  report: Report
  names: Names
  /** The contract's own course, or the registrations that it rests on. */
  part: 'course' | 'registrations'
}

function parseObject(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null
  } catch {
    return null
  }
}

export function Events({ report, names, part }: Props) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  const shown = report.events
    .map((event, position) => ({ event, position }))
    .filter(({ event }) => isRegistration(event.kind) === (part === 'registrations'))
  if (shown.length === 0) return null
  const [title, hint] =
    part === 'course'
      ? [t('section.events'), t('section.eventsHint')]
      : [t('section.registrations'), t('section.registrationsHint')]
  // A name with dots is one key, not a path into the texts.
  const label = (name: string): string => {
    const texts = t('disclosure', { returnObjects: true }) as Record<string, string>
    return texts[name] ?? name
  }
  /** The circumstances are a small JSON object; anything else is shown as it stands. */
  const captured = (value: string): string => {
    const source = parseObject(value)
    if (source === null) return value
    return Object.entries(source)
      .filter(([, field]) => field !== '' && field !== null)
      .map(([key, field]) =>
        key === 'time_ms' && typeof field === 'number'
          ? formatTime(field)
          : `${i18n.exists(`capture.${key}`) ? t(`capture.${key as 'ip'}`) : key} ${String(field)}`,
      )
      .join(' · ')
  }
  return (
    <Section title={title} hint={hint} testId={part}>
      <ol className="timeline" lang={i18n.language}>
        {shown.map(({ event, position }) => {
          const seals = event.kind === 'contract.signed' ? names.seals(event.subjects) : []
          return (
            <li key={position} data-testid="event">
              <p className="timeline-head">
                <strong>{pick(event.title)}</strong>
                <time dateTime={new Date(event.timeMs).toISOString()}>{formatTime(event.timeMs)}</time>
              </p>
              <dl className="details">
                {event.signers.length > 0 && (
                  <div>
                    <dt>{t('event.signers')}</dt>
                    <dd>{event.signers.map((id) => names.signer(id)).join('、')}</dd>
                  </div>
                )}
                {seals.length > 0 && (
                  <div>
                    <dt>{t('event.seal')}</dt>
                    <dd>{seals.join('、')}</dd>
                  </div>
                )}
                {report.disclosures
                  .filter((item) => item.event === position)
                  .map((item, index) => (
                    <div key={index}>
                      <dt>{label(item.name)}</dt>
                      {item.name.endsWith('.sha256') ? (
                        <dd className="hex">{groupHex(item.value)}</dd>
                      ) : (
                        <dd className="disclosed">{item.name === 'capture' ? captured(item.value) : item.value}</dd>
                      )}
                    </div>
                  ))}
              </dl>
              <p className="quiet">
                {t('event.position', { height: event.height, index: event.index })}
                {event.relay && ` · ${t('event.relay')} ${names.organisation(event.relay)}`}
                <span className="hex block">
                  {t('event.record')} {groupHex(event.recordHash)}
                </span>
              </p>
            </li>
          )
        })}
      </ol>
    </Section>
  )
}
