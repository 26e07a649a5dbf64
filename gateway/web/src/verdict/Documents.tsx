/** The digests of the documents, and a comparison with a copy that the reader holds. */
import { CheckCircleOutlined, CloseCircleOutlined, MinusCircleOutlined } from '@ant-design/icons'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { groupHex, sha256 } from '../format'
import { FilePicker } from '../portal/FilePicker'
import type { DocumentDigest } from '../verifier/report'
import { Section } from './Section'

type Comparison = { name: string; document: string | null }

export function Documents({ documents }: { documents: DocumentDigest[] }) {
  const { t } = useTranslation()
  const [comparison, setComparison] = useState<Comparison | null>(null)
  if (documents.length === 0) return null

  const compare = async (file: File) => {
    const digest = await sha256(await file.arrayBuffer())
    const same = documents.find((item) => item.sha256.toLowerCase() === digest)
    setComparison({ name: file.name, document: same ? same.name : null })
  }

  return (
    <Section title={t('section.documents')} testId="documents">
      <ul className="documents">
        {documents.map((item, position) => (
          <li key={position}>
            <p>
              <strong>{item.name}</strong>{' '}
              {item.matches === true ? (
                <span className="status status-pass">
                  <CheckCircleOutlined aria-hidden="true" /> {t('document.match')}
                </span>
              ) : item.matches === false ? (
                <span className="status status-fail">
                  <CloseCircleOutlined aria-hidden="true" /> {t('document.mismatch')}
                </span>
              ) : (
                <span className="status status-not-checked">
                  <MinusCircleOutlined aria-hidden="true" /> {t('document.absent')}
                </span>
              )}
            </p>
            <p className="hex quiet">SHA-256 {groupHex(item.sha256)}</p>
          </li>
        ))}
      </ul>
      {'subtle' in crypto && (
        <div className="compare">
          <FilePicker label={t('document.compare')} testId="compare-input" onFiles={([file]) => file && void compare(file)} />
          <p className="quiet">{t('document.compareHint')}</p>
          <p role="status" data-testid="comparison">
            {comparison !== null && (
              <span className={comparison.document === null ? 'status status-fail' : 'status status-pass'}>
                {comparison.document === null
                  ? t('document.compareMismatch', { name: comparison.name })
                  : t('document.compareMatch', { name: comparison.name, document: comparison.document })}
              </span>
            )}
          </p>
        </div>
      )}
    </Section>
  )
}
