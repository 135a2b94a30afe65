/**
 * A region's process as the launcher starts it: what to do comes over IPC. It ends with the launcher, however that ends,
 * and leaves the HSM processes running unless it is told to stop them.
 */
import type { Logger } from 'pino'
import { join } from 'node:path'
import { createLog } from '../log/log.ts'
import { PLACES } from '../places.ts'
import { Trouble, textOf } from '../trouble.ts'
import { toRegion, type FromRegion } from './messages.ts'
import { startRegion, type Region } from './region.ts'
import type { RegionSettings } from './settings.ts'

/** Without an answer to a stop it ends all the same. */
const STOP_MS = 20_000

let log: Logger | undefined
let region: Promise<Region> | undefined
let isStopping = false

process.title = 'strongroom-region'
// Ctrl-C on the terminal is the launcher's to answer.
process.on('SIGINT', () => undefined)
process.on('SIGHUP', () => undefined)
process.on('SIGTERM', () => void stop(true))
process.on('disconnect', () => void stop(true))
process.on('message', (message) => {
  const told = toRegion.parse(message)
  if (told.type === 'start') void start(told.settings)
  else if (told.type === 'peers') void region?.then((running) => running.setPeers(told.peers))
  else void stop(told.leaveHsms)
})

async function start(settings: RegionSettings): Promise<void> {
  process.title = `strongroom-region ${settings.region}`
  const name = settings.region
  log = createLog({ name, file: join(settings.data, PLACES.logs, `${name}.log`), terminal: true })
  region = startRegion(settings, log, fail)
  try {
    const running = await region
    if (running.apiPort !== undefined) tell({ type: 'api', port: running.apiPort })
    if (running.peerPort !== undefined) tell({ type: 'peer', port: running.peerPort })
    log.info({ api: running.apiPort, peer: running.peerPort }, 'the region listens')
  } catch (error) {
    log.error({ err: error }, 'the region could not be started')
    if (error instanceof Trouble) tell({ type: 'trouble', message: error.message, mend: error.mend })
    process.exitCode = 1
    process.disconnect?.()
  }
}

function fail(trouble: Trouble): void {
  log?.error({ err: trouble }, 'the region cannot run')
  tell({ type: 'trouble', message: trouble.message, mend: trouble.mend })
  process.exitCode = 1
  void stop(true)
}

async function stop(leaveHsms: boolean): Promise<void> {
  if (isStopping) return
  isStopping = true
  setTimeout(() => process.exit(1), STOP_MS).unref()
  try {
    await (await region)?.stop({ leaveHsms })
  } catch (error) {
    log?.error({ err: error }, `stopping failed: ${textOf(error)}`)
    process.exitCode ??= 1
  }
  process.exit()
}

function tell(message: FromRegion): void {
  if (process.connected) process.send?.(message, () => undefined)
}
