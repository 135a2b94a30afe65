import { z } from 'zod'
import { role, username } from '../../../workers/hsm/protocol/values.ts'
import { command } from '../command.ts'
import { userFlags } from './user-flags.ts'

export const userDelete = command({
  path: 'user delete',
  summary: 'Delete a user that owns no keys (admin)',
  options: userFlags,
  input: z.object({ username, role }),
  run: async (input, { loggedIn }) => {
    const client = await loggedIn()
    const deleted = await client.users.delete({ username: input.username, role: input.role })
    return { username: deleted.username, role: deleted.role }
  },
})
