/** Where files are dropped or chosen, and what can be verified. */
import { FileDoneOutlined, FileProtectOutlined, FileTextOutlined, FolderOpenOutlined, InboxOutlined } from '@ant-design/icons'
import { Spin } from 'antd'
import { type DragEvent, useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'
import { FilePicker } from './FilePicker'

interface Props {
  /** What is going on instead, if files cannot be taken now. */
  busy: 'loading' | 'verifying' | null
  onFiles: (files: File[]) => void
}

export function DropZone({ busy, onFiles }: Props) {
  const { t } = useTranslation()
  const [over, setOver] = useState(false)

  // A file that misses the zone must not replace the page.
  useEffect(() => {
    const refuse = (event: globalThis.DragEvent) => event.preventDefault()
    window.addEventListener('dragover', refuse)
    window.addEventListener('drop', refuse)
    return () => {
      window.removeEventListener('dragover', refuse)
      window.removeEventListener('drop', refuse)
    }
  }, [])

  const drop = (event: DragEvent) => {
    event.preventDefault()
    setOver(false)
    if (busy === null) onFiles(Array.from(event.dataTransfer.files))
  }

  return (
    <section
      className={over ? 'drop drop-over' : 'drop'}
      aria-label={t('drop.label')}
      aria-busy={busy !== null}
      data-testid="drop-zone"
      onDragEnter={() => setOver(true)}
      onDragOver={(event) => event.preventDefault()}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false)
      }}
      onDrop={drop}
    >
      <div className="drop-target">
        {busy === null ? (
          <>
            <InboxOutlined className="drop-icon" aria-hidden="true" />
            <p className="drop-title">{t('drop.drag')}</p>
            <p className="drop-or">{t('drop.or')}</p>
            <FilePicker
              label={t('drop.choose')}
              accept=".pdf,.qzproof,.zip,application/pdf,application/zip"
              multiple
              testId="file-input"
              onFiles={onFiles}
              button={{ type: 'primary', size: 'large' }}
            />
          </>
        ) : (
          <div role="status" className="drop-busy">
            <Spin size="large" />
            <p>{t(`drop.${busy}`)}</p>
          </div>
        )}
      </div>
      <div className="drop-kinds">
        <h2 className="kinds-title">{t('drop.accepted')}</h2>
        <ul>
          <li>
            <FileProtectOutlined aria-hidden="true" />
            <div>
              <strong>{t('drop.certificate')}</strong>
              <span>{t('drop.certificateHint')}</span>
            </div>
          </li>
          <li>
            <FileTextOutlined aria-hidden="true" />
            <div>
              <strong>{t('drop.contract')}</strong>
              <span>{t('drop.contractHint')}</span>
            </div>
          </li>
          <li>
            <FileDoneOutlined aria-hidden="true" />
            <div>
              <strong>{t('drop.proof')}</strong>
              <span>{t('drop.proofHint')}</span>
            </div>
          </li>
          <li>
            <FolderOpenOutlined aria-hidden="true" />
            <div>
              <strong>{t('drop.package')}</strong>
              <span>{t('drop.packageHint')}</span>
            </div>
          </li>
        </ul>
      </div>
    </section>
  )
}
