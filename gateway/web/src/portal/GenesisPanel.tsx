/** What verification starts from: the genesis document in use, its fingerprint, and a way to change it. */
import { Button } from 'antd'
import { useTranslation } from 'react-i18next'
import { useEnvironment } from '../environment'
import { groupHex, shortHex } from '../format'
import { FilePicker } from './FilePicker'
import type { GenesisState } from './genesis'

interface Props {
  genesis: GenesisState
  /** The chain id that the last verification found in it. */
  chainId: string | null
  onChoose: (file: File | null) => void
}

export function GenesisPanel({ genesis, chainId, onChoose }: Props) {
  const { t } = useTranslation()
  const { standalone } = useEnvironment()
  const known = typeof genesis === 'object'
  return (
    <details className="genesis" open={genesis === 'missing'} data-testid="genesis">
      <summary>
        <span className="genesis-title">{t('genesis.title')}</span>
        <span className="genesis-source">
          {known
            ? genesis.name === null
              ? t(standalone ? 'genesis.embedded' : 'genesis.pinned')
              : t('genesis.own', { name: genesis.name })
            : t(`genesis.${genesis}`)}
          {known && genesis.fingerprint && <span className="hex"> {shortHex(genesis.fingerprint)}</span>}
        </span>
      </summary>
      <p>{t('genesis.explain')}</p>
      {known && (
        <dl className="facts">
          <div>
            <dt>{t('genesis.fingerprint')}</dt>
            <dd className="hex">{genesis.fingerprint === null ? t('genesis.noFingerprint') : groupHex(genesis.fingerprint)}</dd>
          </div>
          <div>
            <dt>{t('genesis.chainId')}</dt>
            <dd className={chainId ? 'hex' : ''}>{chainId ? groupHex(chainId) : t('genesis.chainIdLater')}</dd>
          </div>
        </dl>
      )}
      <div className="actions">
        <FilePicker label={t('genesis.choose')} accept=".qz" testId="genesis-input" onFiles={([file]) => file && onChoose(file)} />
        {known && genesis.name !== null && <Button onClick={() => onChoose(null)}>{t(standalone ? 'genesis.revertEmbedded' : 'genesis.revert')}</Button>}
      </div>
    </details>
  )
}
