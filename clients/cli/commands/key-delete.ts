import { z } from 'zod'
import { command } from '../command.ts'
import { requiredFilterFlag, selectKey } from '../filters.ts'

export const keyDelete = command({
  path: 'key delete',
  summary: 'Delete one key; the other half of a pair stays',
  options: [
    {
      flags: '--filter <filter...>',
      description: 'selects exactly one key: key-reference=0x… or attr.NAME=VALUE',
      required: true,
    },
  ],
  input: z.object({ filter: requiredFilterFlag }),
  run: async ({ filter }, { loggedIn }) => {
    const client = await loggedIn()
    const { handle } = await selectKey(client, filter)
    await client.keys.delete(handle)
    return { message: 'Key deleted successfully' }
  },
})
