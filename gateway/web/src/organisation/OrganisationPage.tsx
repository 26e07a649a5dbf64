/**
 * The page of a member's operators: what is pending before it, what concerns it, how its node is, and the
 * commands with which they act. It holds no signing keys and changes nothing.
 */
import { useEffect, useId, useState, type FormEvent } from 'react'
import { useTranslation } from 'react-i18next'
import { WrongToken, command, fetchOverview, storeToken, storedToken, type Concern, type Overview } from './overview'

const REFRESH_MS = 5000

function TokenForm({ wrong, onToken }: { wrong: boolean; onToken: (token: string) => void }) {
  const { t } = useTranslation()
  const id = useId()
  const [value, setValue] = useState('')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (value.trim() !== '') onToken(value.trim())
  }
  return (
    <form onSubmit={submit}>
      <h1>{t('organisation.tagline')}</h1>
      <label htmlFor={id}>
        {t('organisation.token')}
        <input id={id} type="password" autoComplete="off" value={value} onChange={(event) => setValue(event.target.value)} />
      </label>
      <button type="submit">{t('organisation.open')}</button>
      {wrong && <p role="alert">{t('organisation.wrongToken')}</p>}
    </form>
  )
}

function Node({ overview }: { overview: Overview }) {
  const { t } = useTranslation()
  const { node, read } = overview
  if (!node.reachable) return <p className="trouble" role="alert">{t('organisation.unreachable', { error: node.error })}</p>
  const facts: [string, string][] = [
    [t('organisation.state'), node.healthy ? (node.syncing ? t('organisation.syncing') : t('organisation.healthy')) : t('organisation.unhealthy')],
    [t('organisation.height'), String(node.height)],
    [t('organisation.time'), node.time.replace('T', ' ').replace(/\.\d+/, ' ')],
    [t('organisation.peers'), String(node.peers)],
    [t('organisation.waiting'), String(node.mempool)],
    [t('organisation.readTo'), String(read.height)],
  ]
  return (
    <dl className="cards">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

function Pending({ overview }: { overview: Overview }) {
  const { t } = useTranslation()
  if (overview.pending.length === 0) return <p>{t('organisation.nothingPending')}</p>
  return (
    <ul>
      {overview.pending.map(({ contract, since, height, index }) => (
        <li key={contract} data-testid="pending">
          {t('organisation.pendingSince', { since: since.slice(0, 19).replace('T', ' '), block: `${height}.${index}` })}
          <br />
          <code>{contract}</code>
          <code className="command">{command(overview, 'rule', contract)}</code>
          {overview.can.retrieve && <code className="command">{command(overview, 'retrieve', contract)}</code>}
        </li>
      ))}
    </ul>
  )
}

function Records({ records }: { records: Concern[] }) {
  const { t, i18n } = useTranslation()
  if (records.length === 0) return <p>{t('organisation.noRecords')}</p>
  return (
    <div className="scroll" role="region" aria-label={t('organisation.records')} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('organisation.time')}</th>
            <th scope="col">{t('organisation.why')}</th>
            <th scope="col">{t('organisation.what')}</th>
            <th scope="col">{t('organisation.block')}</th>
            <th scope="col">{t('organisation.relay')}</th>
            <th scope="col">{t('organisation.subjects')}</th>
          </tr>
        </thead>
        <tbody>
          {records.map((record) => (
            <tr key={record.record}>
              <td>{record.time.slice(0, 19).replace('T', ' ')}</td>
              <td>
                <span className={`why why-${record.why}`}>{t(`organisation.whys.${record.why}`)}</span>
              </td>
              <td>
                {i18n.language === 'en' ? record.title_en : record.title_zh}
                <br />
                <code>{record.kind}</code>
              </td>
              <td>
                {record.height}.{record.index}
              </td>
              <td>{record.relay}</td>
              <td>
                {record.subjects.map((subject) => (
                  <div key={subject}>
                    <code title={subject}>{subject.slice(0, 16)}…</code>
                  </div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Commands({ overview }: { overview: Overview }) {
  const { can } = overview
  const known = [
    'watch' as const,
    'deposit' as const,
    ...(can.notarise ? ['notarise' as const] : []),
    ...(can.rule ? ['rule' as const] : []),
    ...(can.retrieve ? ['retrieve' as const] : []),
  ]
  return (
    <>
      {known.map((what) => (
        <code className="command" key={what}>
          {command(overview, what)}
        </code>
      ))}
    </>
  )
}

function Content({ overview }: { overview: Overview }) {
  const { t, i18n } = useTranslation()
  const { organisation, chain, read } = overview
  return (
    <>
      <h1>{i18n.language === 'en' ? organisation.name_en : organisation.name_zh}</h1>
      <p>
        {organisation.roles.map((role) => t(`organisation.roles.${role}`)).join(' · ')} · {chain.name}
      </p>
      {read.trouble !== null && <p className="trouble" role="status">{t('organisation.trouble', { error: read.trouble })}</p>}
      <h2>{t('organisation.node')}</h2>
      <Node overview={overview} />
      <h2>{t('organisation.pending')}</h2>
      <Pending overview={overview} />
      <h2>{t('organisation.records')}</h2>
      <Records records={overview.records} />
      {overview.watched.length > 0 && (
        <>
          <h2>{t('organisation.watched')}</h2>
          <ul>
            {overview.watched.map((subject) => (
              <li key={subject}>
                <code>{subject}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      <h2>{t('organisation.commands')}</h2>
      <p>{t('organisation.commandsDetail')}</p>
      <Commands overview={overview} />
    </>
  )
}

export function OrganisationPage() {
  const { t, i18n } = useTranslation()
  const [token, setToken] = useState(storedToken)
  const [wrong, setWrong] = useState(false)
  const [overview, setOverview] = useState<Overview | null>(null)
  const [error, setError] = useState('')

  useEffect(() => {
    document.title = t('organisation.title')
  }, [t, i18n.language])

  useEffect(() => {
    if (token === '') return undefined
    const controller = new AbortController()
    const look = async () => {
      try {
        setOverview(await fetchOverview(token, controller.signal))
        storeToken(token)
        setError('')
      } catch (failure) {
        if (controller.signal.aborted) return
        if (failure instanceof WrongToken) {
          storeToken('')
          setToken('')
          setOverview(null)
          setWrong(true)
        } else {
          setError(failure instanceof Error ? failure.message : String(failure))
        }
      }
    }
    void look()
    const timer = setInterval(() => void look(), REFRESH_MS)
    return () => {
      controller.abort()
      clearInterval(timer)
    }
  }, [token])

  const other = i18n.language === 'en' ? 'zh-CN' : 'en'
  return (
    <>
      <header className="masthead">
        <div className="column masthead-row">
          <span className="brand">{t('app.name')}</span>
          <span className="tagline">{t('organisation.tagline')}</span>
          <button type="button" className="language" lang={other} onClick={() => void i18n.changeLanguage(other)}>
            {t('app.switchLanguage')}
          </button>
        </div>
      </header>
      <main className="column organisation">
        {error !== '' && <p className="trouble" role="alert">{t('organisation.failed', { error })}</p>}
        {token === '' ? <TokenForm wrong={wrong} onToken={(given) => { setWrong(false); setToken(given) }} /> : overview !== null && <Content overview={overview} />}
      </main>
      <footer className="column footer">{t('organisation.footer')}</footer>
    </>
  )
}
