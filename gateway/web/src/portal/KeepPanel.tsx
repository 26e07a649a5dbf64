/** How to verify without this site: the page works offline once loaded, and one file can be kept. */
import { DownloadOutlined } from '@ant-design/icons'
import { useTranslation } from 'react-i18next'

export function KeepPanel({ fingerprint }: { fingerprint: string | null }) {
  const { t } = useTranslation()
  return (
    <section className="panel" aria-labelledby="keep-title" data-testid="keep">
      <h2 id="keep-title">{t('keep.title')}</h2>
      <p>{t('keep.explain')}</p>
      <p>
        <a className="download" href="verifier.html" download="verifier.html" data-testid="download-verifier">
          <DownloadOutlined aria-hidden="true" /> {t('keep.download')}
        </a>
      </p>
      {fingerprint !== null && <p className="quiet">{t('keep.genesis')} <span className="hex">{fingerprint}</span></p>}
    </section>
  )
}
