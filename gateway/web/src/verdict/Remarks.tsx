/** What was not checked, or what is assumed: the limits of the verdict. */
import { useTranslation } from 'react-i18next'
import type { Bilingual } from '../verifier/report'
import { usePick } from './language'
import type { Names } from './names'
import { Section } from './Section'

export function Remarks({ name, remarks, names }: { name: 'notChecked' | 'assumptions'; remarks: Bilingual[]; names: Names }) {
  const { t } = useTranslation()
  const pick = usePick()
  if (remarks.length === 0) return null
  return (
    <Section title={t(`section.${name}`)} testId={name}>
      <ul className="remarks">
        {remarks.map((remark, position) => (
          <li key={position}>{names.inText(pick(remark))}</li>
        ))}
      </ul>
    </Section>
  )
}
