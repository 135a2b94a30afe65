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
  await stayUp(configuration, ({ url, postgresPort }) => {
    process.stdout.write(welcome(configuration, { url, postgresPort, ms: performance.now() - began }))
  })
}

/** Runs until a signal. `onReady` is called once every region can serve. */
export async function stayUp(configuration: Configuration, onReady: (launcher: Launcher) => void): Promise<void> {
  const signalled = Promise.withResolvers<undefined>()
  let isStopping = false
  const onSignal = () => {
    if (isStopping) process.stderr.write('still stopping; "strongroom down" ends what is left\n')
    isStopping = true
    signalled.resolve(undefined)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  const launcher = await startLauncher(configuration)
  const timer = setInterval(() => void complain(launcher), PATIENCE_MS)
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

async function complain(launcher: Launcher): Promise<void> {
  for (const line of await launcher.waitingFor()) process.stderr.write(`still waiting: ${line}\n`)
}
