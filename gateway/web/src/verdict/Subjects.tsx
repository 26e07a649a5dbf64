/** The state of contracts, seals and keys as of the proven block, and whether records are withheld. */
import { useTranslation } from 'react-i18next'
import { formatTime, shortHex } from '../format'
import type { SubjectState } from '../verifier/report'
import { usePick } from './language'
import type { Names } from './names'
import { Section } from './Section'

export function Subjects({ subjects, names }: { subjects: SubjectState[]; names: Names }) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  if (subjects.length === 0) return null
  const kind = (type: string): string => t(`subject.${(i18n.exists(`subject.${type}`) ? type : 'other') as 'contract'}`)
  return (
    <Section title={t('section.state')} hint={t('section.stateHint')} testId="subjects">
      <ul className="subjects">
        {subjects.map((item) => (
          <li key={item.subject} data-testid="subject">
            <p>
              <strong>{kind(item.type)}</strong>{' '}
              {names.subject(item.subject) ?? <span className="hex">{shortHex(item.subject)}</span>}{' '}
              <span className="state">{pick(item.status)}</span>
            </p>
            <p className="quiet">
              {t('state.asOf', { height: item.asOfHeight, time: formatTime(item.asOfTimeMs) })}
              {' · '}
              {t('state.records', { records: item.records })}
              {' · '}
              {item.complete ? t('state.complete') : t('state.partial')}
            </p>
          </li>
        ))}
      </ul>
    </Section>
  )
}
