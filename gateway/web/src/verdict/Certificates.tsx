/** The X.509 certificates that records commit to. */
import { useTranslation } from 'react-i18next'
import { formatTime } from '../format'
import { type Attribute, parseName } from './distinguishedName'
import type { Certificate } from '../verifier/report'
import { Section } from './Section'

/** The common name first, then the rest, as in `王建国（O=…，C=CN）`. */
function readable(name: string): { common: string; rest: string } {
  const attributes = parseName(name)
  const common = attributes.find(({ type }) => type === 'CN')?.value ?? name
  const others = attributes.filter(({ type }: Attribute) => type !== 'CN')
  return { common, rest: others.map(({ type, value }) => `${type}=${value}`).join(' · ') }
}

export function Certificates({ certificates }: { certificates: Certificate[] }) {
  const { t } = useTranslation()
  if (certificates.length === 0) return null
  return (
    <Section title={t('section.certificates')} hint={t('section.certificatesHint')} testId="certificates">
      <ul className="documents">
        {certificates.map((item, position) => (
          <li key={position}>
            <p>
              <strong>{readable(item.subject).common}</strong> <span className="quiet">{readable(item.subject).rest}</span>
            </p>
            <dl className="details">
              <div>
                <dt>{t('certificate.issuer')}</dt>
                <dd>
                  {readable(item.issuer).common} <span className="quiet">{readable(item.issuer).rest}</span>
                </dd>
              </div>
              <div>
                <dt>{t('certificate.serial')}</dt>
                <dd className="hex">{item.serial}</dd>
              </div>
              <div>
                <dt>{t('certificate.validity')}</dt>
                <dd>
                  {formatTime(item.notBeforeMs)} – {formatTime(item.notAfterMs)}
                </dd>
              </div>
            </dl>
          </li>
        ))}
      </ul>
    </Section>
  )
}
