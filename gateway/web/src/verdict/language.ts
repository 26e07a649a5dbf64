/** The text of the page's language out of a pair. */
import { useTranslation } from 'react-i18next'
import type { Bilingual } from '../verifier/report'

export function usePick(): (text: Bilingual) => string {
  const { i18n } = useTranslation()
  return (text) => (i18n.language === 'en' ? text.en : text.zh)
}
