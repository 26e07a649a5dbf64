/** What happened on chain, in its order. */
import { useTranslation } from 'react-i18next'
import { formatTime, groupHex, shortHex } from '../format'
import type { ChainEvent } from '../verifier/report'
import { usePick } from './language'
import { Section } from './Section'

export function Events({ events }: { events: ChainEvent[] }) {
  const { t } = useTranslation()
  const pick = usePick()
  if (events.length === 0) return null
  return (
    <Section title={t('section.events')} hint={t('section.eventsHint')} testId="events">
      <ol className="timeline">
        {events.map((event, position) => (
          <li key={position}>
            <p className="timeline-head">
              <strong>{pick(event.title)}</strong>
              <time dateTime={new Date(event.timeMs).toISOString()}>{formatTime(event.timeMs)}</time>
            </p>
            {event.signers.length > 0 && (
              <p>
                <span className="quiet">{t('event.signers')} </span>
                {event.signers.map(shortHex).join(' · ')}
              </p>
            )}
            <p className="quiet">
              {t('event.position', { height: event.height, index: event.index })}
              <span className="hex block">
                {t('event.record')} {groupHex(event.recordHash)}
              </span>
            </p>
          </li>
        ))}
      </ol>
    </Section>
  )
}
