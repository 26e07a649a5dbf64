/**
 * The trust inputs besides the genesis: whose cosignatures and timestamps count. Shown with whose choice
 * they are, so that a court can compare them with its own, or use its own.
 */
import { Alert, Button } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'
import { useEnvironment } from '../environment'
import { groupHex } from '../format'
import { FilePicker } from './FilePicker'
import { type Trust, type TrustInput, type TrustKind, witnesses } from './trust'

function Input({ kind, input }: { kind: TrustKind; input: TrustInput | null }) {
  const { t, i18n } = useTranslation()
  const { standalone } = useEnvironment()
  if (input === null) return t(kind === 'witnessPolicy' ? 'trust.noWitnesses' : 'trust.noTsa')
  const what =
    kind === 'witnessPolicy'
      ? witnesses(input.text).join(i18n.language === 'en' ? ', ' : '、')
      : t('trust.tsaRoots', { count: input.fingerprints.length })
  return (
    <>
      {what}{' '}
      <span className="quiet">
        {input.name === null ? t(standalone ? 'trust.embedded' : 'trust.operators') : t('trust.own', { name: input.name })}
      </span>
      {input.fingerprints.map(
        (fingerprint, position) => fingerprint !== null && <span key={position} className="hex block">SHA-256 {groupHex(fingerprint)}</span>,
      )}
    </>
  )
}

export function TrustFacts({ trust }: { trust: Trust }) {
  const { t } = useTranslation()
  return (
    <>
      <div>
        <dt>{t('trust.witnesses')}</dt>
        <dd data-testid="trust-witnesses">
          <Input kind="witnessPolicy" input={trust.witnessPolicy} />
        </dd>
      </div>
      <div>
        <dt>{t('trust.tsa')}</dt>
        <dd data-testid="trust-tsa">
          <Input kind="tsaRoots" input={trust.tsaRoots} />
        </dd>
      </div>
    </>
  )
}

interface Props {
  trust: Trust
  /** Uses these files instead of the operator's choice; `null` goes back. False if they are unusable. */
  onChoose: (kind: TrustKind, files: File[] | null) => Promise<boolean>
}

export function TrustPanel({ trust, onChoose }: Props) {
  const { t } = useTranslation()
  const { standalone } = useEnvironment()
  const [refused, setRefused] = useState<TrustKind | null>(null)
  const choose = (kind: TrustKind, files: File[] | null) =>
    void onChoose(kind, files).then(
      (usable) => setRefused(usable ? null : kind),
      () => setRefused(kind),
    )
  const complete = trust.witnessPolicy !== null && trust.tsaRoots !== null
  const own = (Object.keys(trust) as TrustKind[]).filter((kind) => trust[kind] !== null && trust[kind].name !== null)
  return (
    <details className="genesis" data-testid="trust">
      <summary>
        <span className="genesis-title">{t('trust.title')}</span>
        <span className="genesis-source">
          {t(own.length > 0 ? 'trust.someOwn' : complete ? (standalone ? 'trust.embedded' : 'trust.operators') : 'trust.none')}
        </span>
      </summary>
      <p>{t('trust.explain')}</p>
      <dl className="facts">
        <TrustFacts trust={trust} />
      </dl>
      <div role="alert">
        {refused !== null && <Alert className="notice" type="error" role="presentation" showIcon title={t(`trust.refused.${refused}`)} data-testid="trust-refused" />}
      </div>
      <div className="actions">
        <FilePicker label={t('trust.choosePolicy')} testId="policy-input" onFiles={(files) => choose('witnessPolicy', files.slice(0, 1))} />
        <FilePicker label={t('trust.chooseRoots')} multiple testId="roots-input" onFiles={(files) => choose('tsaRoots', files)} />
        {own.length > 0 && (
          <Button onClick={() => own.forEach((kind) => choose(kind, null))}>{t(standalone ? 'trust.revertEmbedded' : 'trust.revert')}</Button>
        )}
      </div>
    </details>
  )
}
