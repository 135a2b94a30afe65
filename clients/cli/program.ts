/** cloudhsm-cli: a command by its words, or interactive mode. */
import { z } from 'zod'
import { command } from './command.ts'
import { readConfig, type LogSettings } from './config.ts'
import { Connections } from './connections.ts'
import { clientHome, configFileOf, defaultLogFileOf } from './home.ts'
import { createLog, type Log } from './log.ts'
import { run, type World } from './run.ts'
import { Terminal } from './terminal.ts'

const ABOUT =
  "Manages the users and keys in the HSMs of a cluster. Commands and answers are those of AWS's CloudHSM CLI."
const HINTS = `
Which HSMs to talk to is written down once, with configure-cli. Most commands need a user: set CLOUDHSM_ROLE (admin or
crypto-user) and CLOUDHSM_PIN (user:password), or use interactive mode and its command login. Answers are JSON.

Examples:
  cloudhsm-cli cluster activate
  CLOUDHSM_ROLE=admin CLOUDHSM_PIN=admin:… cloudhsm-cli user create --username alice --role crypto-user
  cloudhsm-cli interactive`

/** Runs it on this process's streams; gives the exit code. Nothing of it is left running. */
export async function cloudhsmCli(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<0 | 1> {
  const home = clientHome(environment)
  const log = logOf(home)
  const connections = new Connections(home, log)
  let terminal: Terminal | undefined
  const open = (prompts: NodeJS.WriteStream & { readonly fd: number }) =>
    (terminal ??= new Terminal({ input: process.stdin, prompts }))
  let exitCode: 0 | 1 = 0
  const world: World = {
    name: 'cloudhsm-cli',
    about: ABOUT,
    hints: HINTS,
    connections,
    log,
    environment,
    askHidden: (question) => open(process.stderr).hidden(question),
    ask: (question) => open(process.stderr).answer(question),
    print: (text) => void process.stdout.write(text),
    extra: [
      command({
        path: 'interactive',
        summary: 'Enter commands line by line, with one login for all of them',
        input: z.object({ clusterId: z.string().optional() }),
        run: async ({ clusterId }) => {
          const { interactive } = await import('./interactive.ts')
          const lines = open(process.stdout)
          const askHidden = (question: string) => lines.hidden(question)
          const ask = (question: string) => lines.answer(question)
          exitCode = await interactive({ ...world, clusterId, askHidden, ask }, lines)
          return undefined
        },
      }),
    ],
  }
  try {
    const code = await run(words, world)
    return code === 0 ? exitCode : code
  } finally {
    terminal?.close()
    await connections.close()
  }
}

/** A configuration that cannot be read is told when it is needed, not here. */
function logOf(home: string): Log {
  let settings: LogSettings = { log_type: 'file', log_level: 'info', log_interval: 'never' }
  try {
    settings = readConfig(configFileOf(home)).logging
  } catch {
    // Help must work without a configuration.
  }
  return createLog(settings, defaultLogFileOf(home))
}
