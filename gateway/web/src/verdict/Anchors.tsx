/**
 * Outside witnesses and third-party timestamps: who saw the ledger's state, and when by their own clocks.
 * Their times stand beside the block's, and none replaces another.
 */
import { useTranslation } from 'react-i18next'
import { formatTime } from '../format'
import type { Anchor, Checkpoint } from '../verifier/report'
import { parseName } from './distinguishedName'
import type { Names } from './names'
import { Section } from './Section'

const commonName = (name: string): string => parseName(name).find(({ type }) => type === 'CN')?.value ?? name

export function Anchors({ checkpoint, anchors, names }: { checkpoint: Checkpoint | null; anchors: Anchor[]; names: Names }) {
  const { t } = useTranslation()
  if (checkpoint === null && anchors.length === 0) return null
  return (
    <Section title={t('section.anchors')} hint={t('section.anchorsHint')} testId="anchors">
      <ul className="documents">
        {anchors.map((anchor, position) => (
          <li key={`${anchor.serial}-${position}`} data-testid="anchor" data-relied={anchor.reliedOn}>
            <p>
              <strong>{t('anchor.timestamp')}</strong> {commonName(anchor.tsa)}{' '}
              <span className={anchor.reliedOn ? 'status status-pass' : 'status status-not-checked'}>
                {t(anchor.reliedOn ? 'anchor.relied' : 'anchor.notRelied')}
              </span>
            </p>
            <dl className="details">
              <div>
                <dt>{t('anchor.tsaTime')}</dt>
                <dd>
                  {formatTime(anchor.tsaTimeMs)}
                  {anchor.accuracyMs !== null && ` ${t('anchor.accuracy', { ms: anchor.accuracyMs })}`}
                </dd>
              </div>
              <div>
                <dt>{t('anchor.blockTime')}</dt>
                <dd>{t('verdict.asOfValue', { height: anchor.height, time: formatTime(anchor.blockTimeMs) })}</dd>
              </div>
              <div>
                <dt>{t('certificate.serial')}</dt>
                <dd className="hex">{anchor.serial}</dd>
              </div>
              {anchor.root !== null && (
                <div>
                  <dt>{t('anchor.root')}</dt>
                  <dd>{commonName(anchor.root)}</dd>
                </div>
              )}
            </dl>
            {anchor.former && <p className="quiet">{t('anchor.former')}</p>}
          </li>
        ))}
        {checkpoint?.cosigners.map((cosigner, position) => (
          <li key={`${cosigner.name}-${position}`} data-testid="cosigner" data-outside={cosigner.outside}>
            <p>
              <strong>{t(cosigner.outside ? 'anchor.outside' : 'anchor.member')}</strong>{' '}
              {cosigner.member !== null ? names.organisation(cosigner.member) : (cosigner.policyName ?? cosigner.name)}
            </p>
            {cosigner.timeMs !== null && <p className="quiet">{t('anchor.seen', { time: formatTime(cosigner.timeMs) })}</p>}
          </li>
        ))}
      </ul>
    </Section>
  )
}
