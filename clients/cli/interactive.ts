/** Interactive mode: the same commands, line by line, on connections and a login that last. */
import { z } from 'zod'
import { command } from './command.ts'
import { messageOf } from './config.ts'
import { presentAnswer } from './present.ts'
import { run, type World } from './run.ts'
import type { Terminal } from './terminal.ts'
import { splitWords } from './words.ts'

const HINTS = '\nA login lasts until "logout" or "quit".'

/**
 * Until `quit` or the end of the input. Gives 1 when the input was piped and a command of it failed, so that scripts
 * notice; somebody who sits there has seen it.
 */
export async function interactive(world: World, terminal: Terminal): Promise<0 | 1> {
  const state = { over: false, failed: false }
  const quit = command({
    path: 'quit',
    summary: 'Leave interactive mode',
    input: z.object({}),
    run: () => {
      state.over = true
      return Promise.resolve(undefined)
    },
  })
  const over = () => state.over
  while (!over()) {
    const line = await terminal.line(await promptOf(world))
    if (line === undefined) break
    let words: string[]
    try {
      words = splitWords(line)
    } catch (error) {
      world.print(presentAnswer(1, messageOf(error)))
      state.failed = true
      continue
    }
    if (words.length === 0) continue
    const code = await run(words, { ...world, name: 'aws-cloudhsm', hints: HINTS, environment: {}, extra: [quit] })
    state.failed ||= code !== 0
  }
  return state.failed && !terminal.typed ? 1 : 0
}

/** `aws-cloudhsm >`, and with a login `user@cluster >` (data-plane §1.4). */
async function promptOf({ connections, clusterId }: World): Promise<string> {
  try {
    const client = await connections.known(clusterId)
    if (client?.user) return `${client.user.username}@${client.clusterId} > `
  } catch {
    // Several clusters and none chosen: no login is the one to show.
  }
  return 'aws-cloudhsm > '
}
