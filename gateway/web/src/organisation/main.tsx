import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import '../i18n'
import '../styles.css'
import './organisation.css'
import { OrganisationPage } from './OrganisationPage'

const container = document.getElementById('root')
if (container === null) throw new Error('the page has no root element')
createRoot(container).render(
  <StrictMode>
    <OrganisationPage />
  </StrictMode>,
)
