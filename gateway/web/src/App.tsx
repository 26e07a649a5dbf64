/** The frame of the page: header with the language switch, content, footer. */
import { ConfigProvider } from 'antd'
import { useTranslation } from 'react-i18next'
import { useEnvironment } from './environment'
import { PortalPage } from './portal/PortalPage'
import { theme } from './theme'

function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M7 4h12l6 6v18H7z" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinejoin="round" />
      <path d="M19 4v6h6" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinejoin="round" />
      <path d="m11.5 19 3.6 3.6 6.2-7.2" fill="none" stroke="#e8b4a8" strokeWidth="2.4" strokeLinecap="round" strokeLinejoin="round" />
    </svg>
  )
}

export function App() {
  const { t, i18n } = useTranslation()
  const { standalone } = useEnvironment()
  const other = i18n.language === 'en' ? 'zh-CN' : 'en'
  return (
    <ConfigProvider theme={theme} button={{ autoInsertSpace: false }}>
      <a className="skip" href="#content">
        {t('app.skip')}
      </a>
      <header className="masthead">
        <div className="column masthead-row">
          <Mark />
          <span className="brand">{t('app.name')}</span>
          <span className="tagline">{t('app.tagline')}</span>
          <button type="button" className="language" lang={other} onClick={() => void i18n.changeLanguage(other)}>
            {t('app.switchLanguage')}
          </button>
        </div>
      </header>
      <main id="content" className="column" tabIndex={-1}>
        <PortalPage />
      </main>
      <footer className="column footer">{t(standalone ? 'app.footerFile' : 'app.footer')}</footer>
    </ConfigProvider>
  )
}
