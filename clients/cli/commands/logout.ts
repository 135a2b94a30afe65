import { z } from 'zod'
import { command } from '../command.ts'

export const logout = command({
  path: 'logout',
  summary: 'Log out on every HSM of the cluster',
  input: z.object({}),
  run: async (_input, { loggedIn }) => {
    const client = await loggedIn()
    await client.logout()
    return 'Logout successful'
  },
})
