/** Commands that others may have to approve: `--approval FILE` takes the token file that they signed (data-plane §2.2). */
import { z } from 'zod'
import type { Command } from './command.ts'
import { readTokenFile } from './token-files.ts'

const FLAG = 'approval'

/**
 * The command, which also takes signed token files: handed in before it runs and spent by it. `flags` names them, for a
 * command that needs several.
 */
export function approvable(command: Command, flags: readonly string[] = [FLAG]): Command {
  const names = flags.map((flag) => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()))
  const input = z.object(Object.fromEntries(names.map((name) => [name, z.string().min(1).optional()])))
  return {
    ...command,
    options: [
      ...command.options,
      ...flags.map((flag) => ({
        flags: `--${flag} <file>`,
        description: 'a quorum token file that enough users signed',
      })),
    ],
    invoke: async (given, invocation) => {
      const paths = Object.values(input.parse(given)).filter((path) => path !== undefined)
      if (paths.length === 0) return command.invoke(given, invocation)
      const files = await Promise.all(paths.map(readTokenFile))
      const client = await invocation.loggedIn()
      return client.quorum.approved(files, () => command.invoke(given, invocation))
    },
  }
}
