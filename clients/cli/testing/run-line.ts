import type { Client } from '../../sdk/client.ts'
import { COMMANDS } from '../commands/table.ts'
import { buildTree } from '../tree.ts'
import { splitWords } from '../words.ts'

/** Runs a command line as somebody who is logged in, without a process of its own; gives `data` of the answer. */
export async function runLine(line: string, client: Client): Promise<unknown> {
  let data: unknown
  const nobody = () => Promise.reject(new Error('nobody is there to be asked'))
  const tree = buildTree({
    name: 'cloudhsm-cli',
    commands: COMMANDS,
    print: () => undefined,
    chosen: async (command, flags) => {
      const there = () => Promise.resolve(client)
      data = await command.invoke(flags, { connect: there, loggedIn: there, askHidden: nobody, ask: nobody })
    },
  })
  await tree.parseAsync(splitWords(line), { from: 'user' })
  return data
}
