/** The verification's steps: what was found, and which deception each rules out. */
import { CheckCircleFilled, CloseCircleFilled, MinusCircleOutlined } from '@ant-design/icons'
import { useTranslation } from 'react-i18next'
import type { Step, StepStatus } from '../verifier/report'
import { usePick } from './language'
import { Section } from './Section'

function Icon({ status }: { status: StepStatus }) {
  switch (status) {
    case 'pass':
      return <CheckCircleFilled aria-hidden="true" />
    case 'fail':
      return <CloseCircleFilled aria-hidden="true" />
    case 'not-checked':
      return <MinusCircleOutlined aria-hidden="true" />
  }
}

interface Props {
  steps: Step[]
  /** Other words than those for the steps of one proof. */
  title?: string
  hint?: string
  /** Say of each which deception it rules out. */
  meanings?: boolean
}

export function Steps({ steps, title, hint, meanings = true }: Props) {
  const { t, i18n } = useTranslation()
  const pick = usePick()
  return (
    <Section title={title ?? t('section.steps')} hint={hint ?? t('section.stepsHint')} testId="steps">
      <ol className="steps">
        {steps.map((step) => (
          <li key={step.n} className={`step step-${step.status}`} data-testid="step" data-status={step.status}>
            <span className="step-number" aria-hidden="true">
              {step.n}
            </span>
            <div>
              <p className="step-head">
                <strong>{pick(step.title)}</strong>
                <span className={`status status-${step.status}`}>
                  <Icon status={step.status} /> {t(`step.${step.status}`)}
                </span>
              </p>
              {pick(step.detail) && <p>{pick(step.detail)}</p>}
              {meanings && i18n.exists(`step.meaning.${step.n}`) && <p className="quiet">{t(`step.meaning.${step.n as 1}`)}</p>}
            </div>
          </li>
        ))}
      </ol>
    </Section>
  )
}
