/** `strongroom up`: starts everything and stays, or leaves it in the background. */
import { loadConfiguration } from '../configuration/load.ts'
import { startLauncher, type Launcher } from '../launcher/launcher.ts'
import type { Configuration } from '../configuration/configuration.ts'
import { upDetached } from './detach.ts'
import type { UpFlags } from './flags.ts'
import { welcome } from './welcome.ts'

const PATIENCE_MS = 10_000

export async function up(flags: UpFlags): Promise<void> {
  const began = performance.now()
  const configuration = await loadConfiguration(flags)
  if (flags.detach === true) {
    await upDetached(configuration)
    return
  }
  await stayUp(configuration, {
    onReady: ({ url, postgresPort }) => {
      process.stdout.write(welcome(configuration, { url, postgresPort, ms: performance.now() - began }))
    },
  })
}

export interface Onlooker {
  /** Every region can serve. */
  readonly onReady: (launcher: Launcher) => void
  /** It takes long; what is not ready yet, for people. Called again and again. */
  readonly onWaiting?: (waitingFor: readonly string[]) => void
}

/** Runs until a signal. */
export async function stayUp(configuration: Configuration, { onReady, onWaiting }: Onlooker): Promise<void> {
  const signalled = Promise.withResolvers<undefined>()
  let isStopping = false
  const onSignal = () => {
    if (isStopping) process.stderr.write('still stopping; "strongroom down" ends what is left\n')
    isStopping = true
    signalled.resolve(undefined)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  const launcher = await startLauncher(configuration)
  const complain = async () => {
    const waitingFor = await launcher.waitingFor()
    for (const line of waitingFor) process.stderr.write(`still waiting: ${line}\n`)
    onWaiting?.(waitingFor)
  }
  const timer = setInterval(() => void complain(), PATIENCE_MS)
  try {
    const isReady = await Promise.race([launcher.ready.then(() => true), signalled.promise])
    clearInterval(timer)
    if (isReady) onReady(launcher)
    await signalled.promise
  } finally {
    clearInterval(timer)
    launcher.ready.catch(() => undefined)
    await launcher.stop()
  }
}
