import { z } from 'zod'
import { username } from '../../../workers/hsm/protocol/values.ts'
import { command, type Command } from '../command.ts'
import { requiredFilterFlag, selectKey } from '../filters.ts'

const flags = [
  {
    flags: '--filter <filter...>',
    description: 'selects exactly one key: key-reference=0x… or attr.NAME=VALUE',
    required: true,
  },
  { flags: '--username <username>', description: 'the crypto user', required: true },
  { flags: '--role <role>', description: 'the role of the user', required: true, choices: ['crypto-user'] },
] as const
const input = z.object({ filter: requiredFilterFlag, username })

export const keySharing: readonly Command[] = [
  command({
    path: 'key share',
    summary: 'Let another crypto user use one of your keys',
    options: flags,
    input,
    run: async ({ filter, username: name }, { loggedIn }) => {
      const client = await loggedIn()
      const { handle } = await selectKey(client, filter)
      await client.keys.share(handle, name)
      return { message: 'Key shared successfully' }
    },
  }),
  command({
    path: 'key unshare',
    summary: 'Share a key no longer',
    options: flags,
    input,
    run: async ({ filter, username: name }, { loggedIn }) => {
      const client = await loggedIn()
      const { handle } = await selectKey(client, filter)
      await client.keys.unshare(handle, name)
      return { message: 'Key unshared successfully' }
    },
  }),
]
