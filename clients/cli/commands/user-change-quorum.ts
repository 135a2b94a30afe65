import { z } from 'zod'
import { command } from '../command.ts'
import { readTokenFile } from '../token-files.ts'

export const userChangeQuorum = command({
  path: 'user change-quorum token-sign register',
  summary: 'Register the key that you sign approvals with',
  options: [
    { flags: '--public-key <file>', description: 'your public key, RSA-2048 in PEM', required: true },
    { flags: '--signed-token <file>', description: 'a token for registration, signed with it', required: true },
  ],
  input: z.object({ publicKey: z.string().min(1), signedToken: z.string().min(1) }),
  run: async (input, { loggedIn }) => {
    const [publicKey, signedToken] = await Promise.all([input.publicKey, input.signedToken].map(readTokenFile))
    const client = await loggedIn()
    const user = await client.quorum.registerKey({ publicKey: publicKey ?? '', signedToken: signedToken ?? '' })
    return { username: user.username, role: user.role }
  },
})
