/** The public portal: choose a file, have it verified in the browser, read the verdict. */
import { LockOutlined, QrcodeOutlined } from '@ant-design/icons'
import { Alert } from 'antd'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { NO_SITE, type Site, useEnvironment } from '../environment'
import { sha256 } from '../format'
import { isPackage, isPdf } from '../verifier/packageReport'
import type { Loading, Verifier } from '../verifier/verifier'
import { headingOf } from '../verdict/heading'
import { usePick } from '../verdict/language'
import { PackageView } from '../verdict/PackageView'
import { PdfView } from '../verdict/PdfView'
import { type VerifiedFile, VerdictView, type Verification } from '../verdict/VerdictView'
import { DropZone } from './DropZone'
import { useGenesis } from './genesis'
import { GenesisPanel } from './GenesisPanel'
import { KeepPanel } from './KeepPanel'
import { Lookup, scannedNumber } from './Lookup'
import { isSelection, select } from './selection'
import { useTrust } from './trust'
import { TrustPanel } from './TrustPanel'

type Problem = { key: string; values?: Record<string, string | number> }

async function read(file: File): Promise<{ bytes: ArrayBuffer; shown: VerifiedFile }> {
  const bytes = await file.arrayBuffer()
  return { bytes, shown: { name: file.name, size: file.size, sha256: await sha256(bytes) } }
}

const bytesOf = (text: string | null): ArrayBuffer | null =>
  text === null ? null : (new TextEncoder().encode(text).buffer as ArrayBuffer)

/** What the operator says; nothing until it is known, since trust inputs are part of it. */
function useSite(): Site | null {
  const environment = useEnvironment()
  const [site, setSite] = useState<Site | null>(null)
  useEffect(() => {
    let current = true
    environment.site().then(
      (found) => current && setSite(found),
      () => current && setSite(NO_SITE),
    )
    return () => {
      current = false
    }
  }, [environment])
  return site
}

export function PortalPage() {
  const { t } = useTranslation()
  const pick = usePick()
  const environment = useEnvironment()
  const site = useSite()
  const [genesis, chooseGenesis] = useGenesis()
  const [trust, chooseTrust] = useTrust(site)
  const [loading, setLoading] = useState<Loading>('loading')
  const [verifying, setVerifying] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const [verification, setVerification] = useState<Verification | null>(null)
  const [chainId, setChainId] = useState<string | null>(null)
  const [verifier, setVerifier] = useState<Verifier | null>(null)
  const [back, setBack] = useState(false)
  const heading = useRef<HTMLHeadingElement>(null)
  const chosen = useRef<File[]>([])
  const number = useMemo(scannedNumber, [])

  useEffect(() => {
    const current = environment.verifier(setLoading)
    setVerifier(current)
    return () => current.close()
  }, [environment])

  // Back from a verdict, the focus must not be lost with the button that was pressed.
  useEffect(() => {
    if (back && verification === null) heading.current?.focus()
  }, [back, verification])

  const verify = useCallback(
    async (files: File[]) => {
      setProblem(null)
      chosen.current = files
      const selection = select(files)
      if (!isSelection(selection)) {
        const { key, ...values } = selection
        setVerification(null)
        return setProblem({ key, values })
      }
      if (typeof genesis !== 'object') return setProblem({ key: 'error.noGenesis' })
      if (verifier === null || site === null || trust === null) return
      setVerifying(true)
      try {
        const file = await read(selection.file)
        const proof = selection.proof && (await read(selection.proof))
        const nowMs = Date.now()
        const { report, elapsedMs } = await verifier.verify({
          file: file.bytes,
          genesis: genesis.bytes,
          proof: proof && proof.bytes,
          nowMs,
          witnessPolicy: bytesOf(trust.witnessPolicy?.text ?? null),
          tsaRoots: bytesOf(trust.tsaRoots?.text ?? null),
        })
        setChainId(isPdf(report) ? null : report.chainId || null)
        setVerification({
          report,
          files: proof ? [file.shown, proof.shown] : [file.shown],
          genesis,
          site,
          trust,
          verifiedAtMs: nowMs,
          elapsedMs,
        })
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
    [genesis, site, trust, verifier],
  )

  const again = () => {
    setBack(true)
    setVerification(null)
  }
  const conclusion = (report: Verification['report']): string =>
    isPdf(report) ? `${t('pdf.label')}：${pick(report.words)}` : `${t('verdict.label')}：${t(`verdict.${headingOf(report)}`)}`
  // One live region for the life of the page: one that comes with its text is not read out.
  const announcement = verifying
    ? t('drop.verifying')
    : verification !== null
      ? conclusion(verification.report)
      : ''
  const live = (
    <div role="status" className="unseen" data-testid="announcement">
      {announcement}
    </div>
  )

  if (verification !== null && verifier !== null) {
    const { report } = verification
    return (
      <>
        {live}
        {isPdf(report) ? (
          <PdfView
            verification={verification}
            report={report}
            onAgain={again}
            onProof={(proof) => void verify([...chosen.current, proof])}
          />
        ) : isPackage(report) ? (
          <PackageView verification={verification} report={report} verifier={verifier} onAgain={again} />
        ) : (
          <VerdictView
            verification={verification}
            report={report}
            verifier={verifier}
            onAgain={again}
            onProof={(proof) => void verify([...chosen.current, proof])}
          />
        )}
      </>
    )
  }

  const busy = verifying ? 'verifying' : loading === 'loading' || genesis === 'loading' || trust === null ? 'loading' : null
  const trouble = loading === 'unavailable' ? { key: 'error.unavailable' } : problem
  return (
    <>
      {live}
      <div className="intro">
        <h1 ref={heading} tabIndex={-1}>
          {t('intro.heading')}
        </h1>
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
          <span>{t(environment.standalone ? 'intro.standaloneDetail' : 'intro.privacyDetail')}</span>
        </p>
      </div>
      {site !== null && <Lookup site={site} />}
      <GenesisPanel
        genesis={genesis}
        chainId={chainId}
        onChoose={(file) => {
          setChainId(null)
          setProblem(null)
          chooseGenesis(file).catch(() => setProblem({ key: 'error.unreadable' }))
        }}
      />
      {trust !== null && <TrustPanel trust={trust} onChoose={chooseTrust} />}
      {!environment.standalone && (
        <KeepPanel fingerprint={typeof genesis === 'object' && genesis.name === null ? genesis.fingerprint : null} />
      )}
    </>
  )
}
