/** The launcher in the background: its configuration comes over IPC, and its being ready goes back. */
import type { FromDetached } from '../command/detach.ts'
import { stayUp } from '../command/up.ts'
import { configurationFile } from '../configuration/configuration.ts'
import { z } from 'zod'
import { Trouble } from '../trouble.ts'

const configuration = configurationFile.extend({
  data: z.string(),
  regions: z.array(z.string()).min(1),
  ephemeral: z.boolean(),
})

process.title = 'strongroom-launcher'
const message = await new Promise<unknown>((resolve) => process.once('message', resolve))
try {
  await stayUp(configuration.parse(message), {
    onReady: ({ url, postgresPort }) => tell({ type: 'ready', url, postgresPort }),
    onWaiting: (waitingFor) => tell({ type: 'waiting', waitingFor: [...waitingFor] }),
  })
} catch (error) {
  process.exitCode = 1
  if (!(error instanceof Trouble)) throw error
  tell({ type: 'trouble', message: error.message, mend: error.mend })
}

/** Who started it may be gone. After the last word nothing more is to be heard. */
function tell(what: FromDetached): void {
  if (!process.connected) return
  process.send?.(what, () => {
    if (what.type !== 'waiting' && process.connected) process.disconnect?.()
  })
}
