/** What the bundle discloses of the salted commitments on chain. */
import { useTranslation } from 'react-i18next'
import type { ChainEvent, Disclosure } from '../verifier/report'
import { usePick } from './language'
import { Section } from './Section'

export function Disclosures({ disclosures, events }: { disclosures: Disclosure[]; events: ChainEvent[] }) {
  const { t } = useTranslation()
  const pick = usePick()
  if (disclosures.length === 0) return null
  return (
    <Section title={t('section.disclosures')} hint={t('section.disclosuresHint')} testId="disclosures">
      <table>
        <thead>
          <tr>
            <th scope="col">{t('disclosure.item')}</th>
            <th scope="col">{t('disclosure.value')}</th>
            <th scope="col">{t('disclosure.event')}</th>
          </tr>
        </thead>
        <tbody>
          {disclosures.map((item, position) => {
            const event = events[item.event]
            return (
              <tr key={position}>
                <th scope="row">{item.name}</th>
                <td>{item.value}</td>
                <td className="quiet">{event ? pick(event.title) : ''}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </Section>
  )
}
