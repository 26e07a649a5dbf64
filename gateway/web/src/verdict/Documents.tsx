/** The files that were compared, the digests on chain, and a comparison with a copy that the reader holds. */
import { CheckCircleOutlined, CloseCircleOutlined } from '@ant-design/icons'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { formatTime, groupHex, sha256 } from '../format'
import { FilePicker } from '../portal/FilePicker'
import type { Report } from '../verifier/report'
import { usePick } from './language'
import { Section } from './Section'

/** Disclosures that are digests of files which people hold. */
const FILE_DIGESTS: readonly string[] = ['document.sha256', 'receipt.sha256']

type Comparison = { name: string; document: string | null }

export function Documents({ report, fileName }: { report: Report; fileName: string | undefined }) {
  const { t } = useTranslation()
  const pick = usePick()
  const [comparison, setComparison] = useState<Comparison | null>(null)
  const registered = report.disclosures.flatMap((item) => {
    const event = report.events[item.event]
    // The deposit of an X.509 certificate is no file that people hold.
    const isCertificate = report.disclosures.some(
      (other) => other.event === item.event && other.name === 'certificate.sha256' && other.value === item.value,
    )
    return FILE_DIGESTS.includes(item.name) && event && !isCertificate
      ? [{ sha256: item.value, what: `${pick(event.title)}，${formatTime(event.timeMs)}` }]
      : []
  })
  const given = report.documents.filter((item) => item.matches !== null)
  if (given.length + registered.length === 0) return null

  const compare = async (file: File) => {
    const digest = await sha256(await file.arrayBuffer())
    const same = registered.find((item) => item.sha256.toLowerCase() === digest)
    setComparison({ name: file.name, document: same?.what ?? null })
  }

  return (
    <Section title={t('section.documents')} testId="documents">
      <ul className="documents">
        {given.map((item, position) => (
          <li key={position} data-testid="document">
            <p>
              <strong>{fileName ?? item.name}</strong> <span className="quiet">{pick(item.what)}</span>{' '}
              {item.matches ? (
                <span className="status status-pass">
                  <CheckCircleOutlined aria-hidden="true" /> {t('document.match')}
                </span>
              ) : (
                <span className="status status-fail">
                  <CloseCircleOutlined aria-hidden="true" /> {t('document.mismatch')}
                </span>
              )}
            </p>
            <p className="hex quiet">SHA-256 {groupHex(item.sha256)}</p>
          </li>
        ))}
      </ul>
      {registered.length > 0 && (
        <>
          <h3>{t('document.registered')}</h3>
          <ul className="documents">
            {registered.map((item, position) => (
              <li key={position}>
                <p>{item.what}</p>
                <p className="hex quiet">SHA-256 {groupHex(item.sha256)}</p>
              </li>
            ))}
          </ul>
        </>
      )}
      {registered.length > 0 && 'subtle' in crypto && (
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
