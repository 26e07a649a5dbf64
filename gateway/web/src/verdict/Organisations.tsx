/** The organisations whose signatures finalised the block that the evidence rests on. */
import { BankOutlined } from '@ant-design/icons'
import { useTranslation } from 'react-i18next'
import type { Organisation } from '../verifier/report'
import { usePick } from './language'
import { Section } from './Section'

export function Organisations({ organisations }: { organisations: Organisation[] }) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  const role = (name: string): string => (i18n.exists(`role.${name}`) ? t(`role.${name as 'court'}`) : name)
  return (
    <Section title={t('section.organisations')} hint={t('section.organisationsHint')} testId="organisations">
      <ul className="organisations">
        {organisations.map((item) => (
          <li key={item.org} data-testid="organisation">
            <BankOutlined aria-hidden="true" />
            <div>
              <strong>{pick(item.name)}</strong>
              <span className="quiet">{item.roles.map(role).join(' · ')}</span>
            </div>
          </li>
        ))}
      </ul>
    </Section>
  )
}
