/** The trust inputs besides the genesis: whose cosignatures and timestamps count. */
import { useTranslation } from 'react-i18next'
import type { Site } from '../environment'

/** Names of the witnesses in a C2SP policy; only for display, the verifier reads the policy itself. */
export function witnesses(policy: string | null): string[] {
  return (policy ?? '')
    .split('\n')
    .map((line) => line.trim().split(/[ \t]+/))
    .filter((words) => words[0] === 'witness')
    .flatMap((words) => (words[1] === undefined ? [] : [words[1]]))
}

/** How many certificates a PEM text holds. */
export const roots = (pem: string | null): number => (pem ?? '').split('-----BEGIN CERTIFICATE-----').length - 1

export function TrustFacts({ site }: { site: Site }) {
  const { t, i18n } = useTranslation()
  const named = witnesses(site.witnessPolicy)
  const count = roots(site.tsaRoots)
  return (
    <>
      <div>
        <dt>{t('trust.witnesses')}</dt>
        <dd data-testid="trust-witnesses">
          {named.length === 0 ? t('trust.noWitnesses') : named.join(i18n.language === 'en' ? ', ' : '、')}
        </dd>
      </div>
      <div>
        <dt>{t('trust.tsa')}</dt>
        <dd data-testid="trust-tsa">{count === 0 ? t('trust.noTsa') : t('trust.tsaRoots', { count })}</dd>
      </div>
    </>
  )
}
