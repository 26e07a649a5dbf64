/** The single file `verifier.html`. */
import { show } from './page'
import { standaloneEnvironment } from './standaloneEnvironment'

show(standaloneEnvironment())
