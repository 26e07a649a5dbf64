/** The X.509 certificates that records commit to. */
import { useTranslation } from 'react-i18next'
import { formatTime } from '../format'
import type { Certificate } from '../verifier/report'
import { Section } from './Section'

export function Certificates({ certificates }: { certificates: Certificate[] }) {
  const { t } = useTranslation()
  if (certificates.length === 0) return null
  return (
    <Section title={t('section.certificates')} hint={t('section.certificatesHint')} testId="certificates">
      <ul className="documents">
        {certificates.map((item, position) => (
          <li key={position}>
            <p>
              <strong>{item.subject}</strong>
            </p>
            <dl className="details">
              <div>
                <dt>{t('certificate.issuer')}</dt>
                <dd>{item.issuer}</dd>
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
