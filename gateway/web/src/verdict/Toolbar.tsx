/** What can be done with a verdict; and, on paper, what it is. */
import { ArrowLeftOutlined, DownloadOutlined, PrinterOutlined } from '@ant-design/icons'
import { Button } from 'antd'
import { useTranslation } from 'react-i18next'
import { formatTime } from '../format'
import { usePick } from './language'
import { download } from './download'
import type { Verification } from './VerdictView'

function save({ report, files, genesis, trust, verifiedAtMs }: Verification): void {
  const content = {
    verified_at_ms: verifiedAtMs,
    files,
    genesis_sha256: genesis.fingerprint,
    witness_policy: trust.witnessPolicy?.text ?? null,
    tsa_roots: trust.tsaRoots?.text ?? null,
    report,
  }
  download(JSON.stringify(content, null, 2), `${files[0]?.name ?? 'report'}.verification.json`, 'application/json')
}

export function Toolbar({ verification, onAgain }: { verification: Verification; onAgain: () => void }) {
  const { t } = useTranslation()
  const pick = usePick()
  const operator = verification.site.operator
  return (
    <>
      <div className="toolbar">
        <Button icon={<ArrowLeftOutlined />} onClick={onAgain}>
          {t('verdict.again')}
        </Button>
        <span className="spring" />
        <Button icon={<DownloadOutlined />} onClick={() => save(verification)}>
          {t('verdict.save')}
        </Button>
        <Button icon={<PrinterOutlined />} onClick={() => window.print()}>
          {t('verdict.print')}
        </Button>
      </div>
      <p className="print-only print-title">{t('verdict.printTitle')}</p>
      <p className="print-only">
        {t('verdict.printedBy', {
          operator: operator === null ? '—' : pick(operator),
          time: formatTime(verification.verifiedAtMs),
        })}
      </p>
    </>
  )
}
