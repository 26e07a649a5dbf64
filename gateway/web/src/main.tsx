/** The portal's page. */
import { show } from './page'
import { portalEnvironment } from './portalEnvironment'

show(portalEnvironment)

// Keeps the page usable without a network. It fetches the page's own files and nothing else.
if ('serviceWorker' in navigator && import.meta.env.PROD) {
  void navigator.serviceWorker.register(new URL('sw.js', document.baseURI), { updateViaCache: 'none' }).catch(() => {
    // A private window may forbid it; the page then needs the network to load, and no more.
  })
}
