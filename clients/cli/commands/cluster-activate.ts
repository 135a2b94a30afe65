import { z } from 'zod'
import { command } from '../command.ts'
import { newPassword } from '../passwords.ts'

export const clusterActivate = command({
  path: 'cluster activate',
  summary: 'Activate a cluster: set the password of its first admin',
  options: [
    { flags: '--password <password>', description: 'the password of the user "admin"; asked for if not given' },
  ],
  input: z.object({ password: z.string().optional() }),
  run: async ({ password }, invocation) => {
    const client = await invocation.connect()
    await client.activate(await newPassword(password, invocation))
    return 'Cluster activation successful'
  },
})
