/** Puts the page into the document; both entries, the portal's and the single file's, end here. */
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import './i18n'
import './styles.css'
import './verdict/verdict.css'
import './print.css'
import { App } from './App'
import { type Environment, EnvironmentProvider } from './environment'

export function show(environment: Environment): void {
  const container = document.getElementById('root')
  if (container === null) throw new Error('the page has no root element')
  createRoot(container).render(
    <StrictMode>
      <EnvironmentProvider value={environment}>
        <App />
      </EnvironmentProvider>
    </StrictMode>,
  )
}
