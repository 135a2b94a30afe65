/** Runs one command line and prints its answer. */
import { HsmError } from '../../workers/hsm/protocol/errors.ts'
import { CliError } from './cli-error.ts'
import type { Invocation } from './command.ts'
import { COMMANDS } from './commands/table.ts'
import { messageOf } from './config.ts'
import { credentialsOf, type Connections } from './connections.ts'
import type { Log } from './log.ts'
import { presentAnswer } from './present.ts'
import { buildTree, HelpShown, type TreeOptions } from './tree.ts'

export interface World {
  /** Of the program, in help texts. */
  readonly name: string
  readonly about?: string
  readonly hints?: string
  readonly connections: Connections
  readonly log: Log
  /** Where credentials may come from; none in interactive mode, where one logs in. */
  readonly environment: NodeJS.ProcessEnv
  readonly askHidden: (question: string) => Promise<string>
  readonly ask: (question: string) => Promise<string>
  readonly print: (text: string) => void
  /** The cluster that is meant when a command does not say. */
  readonly clusterId?: string | undefined
  /** Commands that only this mode has. */
  readonly extra?: TreeOptions['commands']
}

/** Gives the exit code: 0 for success and help, 1 for everything else. Never throws. */
export async function run(words: readonly string[], world: World): Promise<0 | 1> {
  const { log, print } = world
  let failed: 0 | 1 = 0
  const tree = buildTree({
    name: world.name,
    about: world.about ?? '',
    hints: world.hints ?? '',
    print,
    commands: [...(world.extra ?? []), ...COMMANDS],
    chosen: async (command, flags) => {
      const name = command.path.join(' ')
      const data = await command.invoke(flags, invocationOf(world, flags))
      if (data === undefined) return
      log('info', 'command succeeded', { command: name })
      print(presentAnswer(0, data))
    },
  })
  try {
    await tree.parseAsync([...words], { from: 'user' })
  } catch (error) {
    if (error instanceof HelpShown) return 0
    failed = 1
    // What was mistyped may be a password at the wrong place: the log does not repeat it.
    if (error instanceof CliError) log('error', 'command not carried out')
    else
      log('error', 'command failed', {
        error: messageOf(error),
        ...(error instanceof HsmError && { code: error.code }),
      })
    print(presentAnswer(1, messageOf(error)))
  }
  return failed
}

function invocationOf(world: World, flags: Readonly<Record<string, unknown>>): Invocation {
  const named = typeof flags.clusterId === 'string' ? flags.clusterId : world.clusterId
  const connect = () => world.connections.to(named)
  return {
    connect,
    loggedIn: async () => {
      // Half-given credentials are told before anything is connected.
      const credentials = credentialsOf(world.environment)
      const client = await connect()
      if (client.user) return client
      if (!credentials) {
        throw new CliError(
          'Nobody is logged in. Set CLOUDHSM_ROLE and CLOUDHSM_PIN (user:password), or log in in interactive mode',
        )
      }
      await client.login(credentials)
      return client
    },
    askHidden: world.askHidden,
    ask: world.ask,
  }
}
