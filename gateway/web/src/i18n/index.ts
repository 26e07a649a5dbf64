/** The page's languages: Chinese by default, English by choice; the choice is kept in the browser. */
import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'
import en from './en'
import zhCN from './zh-CN'

export type Language = 'zh-CN' | 'en'

const STORED = 'qizheng.language'

const isLanguage = (value: string | null): value is Language => value === 'zh-CN' || value === 'en'

function initial(): Language {
  const asked = new URLSearchParams(location.search).get('lang')
  if (isLanguage(asked)) return asked
  try {
    const stored = localStorage.getItem(STORED)
    if (isLanguage(stored)) return stored
  } catch {
    // Storage may be forbidden; the choice then lasts for this page only.
  }
  return 'zh-CN'
}

function apply(language: string): void {
  document.documentElement.lang = language
  document.title = i18next.t('app.title')
  try {
    localStorage.setItem(STORED, language)
  } catch {
    // As above.
  }
}

// All texts are at hand, so this is done when it returns.
void i18next.use(initReactI18next).init({
  initAsync: false,
  resources: { 'zh-CN': { translation: zhCN }, en: { translation: en } },
  lng: initial(),
  fallbackLng: 'zh-CN',
  interpolation: { escapeValue: false },
})
apply(i18next.language)
i18next.on('languageChanged', apply)

export default i18next
