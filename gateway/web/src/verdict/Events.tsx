/** What happened on chain, in its order, with what the bundle discloses of each record. */
import { useTranslation } from 'react-i18next'
import { formatTime, groupHex } from '../format'
import type { Report } from '../verifier/report'
import { usePick } from './language'
import type { Names } from './names'
import { Section } from './Section'

export function Events({ report, names }: { report: Report; names: Names }) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  if (report.events.length === 0) return null
  // A name with dots is one key, not a path into the texts.
  const label = (name: string): string => {
    const texts = t('disclosure', { returnObjects: true }) as Record<string, string>
    return texts[name] ?? name
  }
  return (
    <Section title={t('section.events')} hint={t('section.eventsHint')} testId="events">
      <ol className="timeline" lang={i18n.language}>
        {report.events.map((event, position) => {
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
                        <dd className="disclosed">{item.value}</dd>
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
