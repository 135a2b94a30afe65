/** The HSM process: `node workers/hsm/main.ts --dir <HSM directory>`. Logs JSON lines to standard output. */
import { parseArgs } from 'node:util'
import pino from 'pino'
import packageJson from '../../package.json' with { type: 'json' }
import { startHsm } from './hsm.ts'
import { logDestination } from './log.ts'
import { restartWarm } from './server/warm-start.ts'

restartWarm()

// Whatever is made in the directory is for this user alone.
process.umask(0o077)
process.title = 'strongroom-hsm'
const log = pino({ level: 'info', base: { pid: process.pid } }, logDestination())

process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'the HSM ends: an error that nobody expected')
  process.exit(1)
})

const { values } = parseArgs({ options: { dir: { type: 'string' } } })
if (values.dir === undefined) {
  log.fatal('usage: main.ts --dir <HSM directory>')
  process.exit(2)
}

/** How long the process may outlive its keys. */
const ZEROISED_MS = 500

const stopping = new AbortController()
const stopAsked = Promise.withResolvers<string>()
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    stopping.abort(new Error(`stopped by ${signal}`))
    stopAsked.resolve(signal)
  })
}

try {
  const hsm = await startHsm({
    directory: values.dir,
    version: packageJson.version,
    log,
    signal: stopping.signal,
    onZeroised: () => stopAsked.resolve('zeroised'),
  })
  process.title = `strongroom-hsm ${hsm.config.hsmId}`
  const reason = await stopAsked.promise
  log.info({ reason }, 'HSM stops')
  // What is under way still has keys in memory: after a zeroisation nothing is worth waiting for but the answer to it.
  if (reason === 'zeroised') setTimeout(() => process.exit(0), ZEROISED_MS)
  await hsm.stop()
  process.exit(0)
} catch (error) {
  if (stopping.signal.aborted) process.exit(0)
  log.fatal({ reason: explain(error) }, 'the HSM cannot run')
  process.exit(1)
}

/** An error and what caused it, in one line. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${explain(error.cause)}`
}
