/** The public portal: choose a file, have it verified in the browser, read the verdict. */
import { LockOutlined, QrcodeOutlined } from '@ant-design/icons'
import { Alert } from 'antd'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { sha256 } from '../format'
import { Verifier } from '../verifier/client'
import { type VerifiedFile, VerdictView, type Verification } from '../verdict/VerdictView'
import { DropZone } from './DropZone'
import { useGenesis } from './genesis'
import { GenesisPanel } from './GenesisPanel'
import { isSelection, LIMIT_MB, select } from './selection'

type Problem = { key: string; values?: Record<string, string | number> }

/** The number in the QR code's address; anything that does not look like one is left out. */
function scannedNumber(): string | null {
  const no = new URLSearchParams(location.search).get('no')
  return no !== null && /^[\p{L}\p{N}][\p{L}\p{N}\-_.〔〕[\]()（）]{0,63}$/u.test(no) ? no : null
}

async function read(file: File): Promise<{ bytes: ArrayBuffer; shown: VerifiedFile }> {
  const bytes = await file.arrayBuffer()
  return { bytes, shown: { name: file.name, size: file.size, sha256: await sha256(bytes) } }
}

export function PortalPage() {
  const { t } = useTranslation()
  const [genesis, chooseGenesis] = useGenesis()
  const [loading, setLoading] = useState<'loading' | 'ready' | 'unavailable'>('loading')
  const [verifying, setVerifying] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const [verification, setVerification] = useState<Verification | null>(null)
  const [chainId, setChainId] = useState<string | null>(null)
  const verifier = useRef<Verifier | null>(null)
  const chosen = useRef<File[]>([])
  const number = useMemo(scannedNumber, [])

  useEffect(() => {
    const current = new Verifier(new URL('qz_verify.wasm', document.baseURI).href, setLoading)
    verifier.current = current
    return () => current.close()
  }, [])

  const verify = useCallback(
    async (files: File[]) => {
      setProblem(null)
      chosen.current = files
      const selection = select(files)
      if (!isSelection(selection)) {
        setVerification(null)
        return setProblem({ key: selection.key, values: { limit: LIMIT_MB, ...('name' in selection ? { name: selection.name } : {}) } })
      }
      if (typeof genesis !== 'object') return setProblem({ key: 'error.noGenesis' })
      if (verifier.current === null) return
      setVerifying(true)
      try {
        const file = await read(selection.file)
        const proof = selection.proof && (await read(selection.proof))
        const nowMs = Date.now()
        const report = await verifier.current.verify({
          file: file.bytes,
          genesis: genesis.bytes,
          proof: proof && proof.bytes,
          nowMs,
        })
        setChainId(report.chainId || null)
        setVerification({ report, files: proof ? [file.shown, proof.shown] : [file.shown], genesis, verifiedAtMs: nowMs })
        window.scrollTo(0, 0)
      } catch (error) {
        setVerification(null)
        const unreadable = error instanceof DOMException
        const reason = error instanceof Error ? error.message : String(error)
        setProblem(unreadable ? { key: 'error.unreadable' } : { key: 'error.failed', values: { reason } })
      } finally {
        setVerifying(false)
      }
    },
    [genesis],
  )

  if (verification !== null) {
    return (
      <VerdictView
        verification={verification}
        onAgain={() => setVerification(null)}
        onProof={(proof) => void verify([...chosen.current, proof])}
      />
    )
  }

  const busy = verifying ? 'verifying' : loading === 'loading' || genesis === 'loading' ? 'loading' : null
  const trouble = loading === 'unavailable' ? { key: 'error.unavailable' } : problem
  return (
    <>
      <div className="intro">
        <h1>{t('intro.heading')}</h1>
        <p className="lead">{t('intro.lead')}</p>
      </div>
      {number !== null && (
        <Alert
          className="notice"
          type="info"
          showIcon
          icon={<QrcodeOutlined />}
          title={t('qr.title', { no: number })}
          description={t('qr.detail')}
          data-testid="qr-notice"
        />
      )}
      <DropZone busy={busy} onFiles={(files) => void verify(files)} />
      <div role="alert">
        {trouble !== null && (
          <Alert
            className="notice"
            type="error"
            role="presentation"
            showIcon
            title={t('error.title')}
            description={t(trouble.key as 'error.noFile', 'values' in trouble ? (trouble.values ?? {}) : {})}
            data-testid="problem"
          />
        )}
      </div>
      <div className="privacy">
        <LockOutlined aria-hidden="true" />
        <p>
          <strong>{t('intro.privacy')}</strong>
          <span>{t('intro.privacyDetail')}</span>
        </p>
      </div>
      <GenesisPanel
        genesis={genesis}
        chainId={chainId}
        onChoose={(file) => {
          setChainId(null)
          setProblem(null)
          chooseGenesis(file).catch(() => setProblem({ key: 'error.unreadable' }))
        }}
      />
    </>
  )
}
