import { z } from 'zod'
import { role, username } from '../../../workers/hsm/protocol/values.ts'
import { CliError } from '../cli-error.ts'
import { command } from '../command.ts'
import { newPassword } from '../passwords.ts'
import { readTokenFile, signByFile } from '../token-files.ts'
import { userFlags } from './user-flags.ts'

export const userChangeMfa = command({
  path: 'user change-mfa token-sign',
  summary: 'Register the key that a user signs logins with, or deregister it (oneself or admin)',
  options: [
    ...userFlags,
    { flags: '--token <file>', description: 'where to write the tokens to be signed' },
    { flags: '--deregister', description: 'forget the key: logins need the password only' },
    { flags: '--change-password', description: 'set a new password as well' },
    { flags: '--change-quorum', description: 'use the key for approvals as well' },
  ],
  input: z.object({
    username,
    role,
    token: z.string().min(1).optional(),
    deregister: z.boolean().default(false),
    changePassword: z.boolean().default(false),
    changeQuorum: z.boolean().default(false),
  }),
  run: async ({ token, deregister, changePassword, changeQuorum, ...user }, invocation) => {
    if ((token === undefined) !== deregister) throw new CliError('Give either --token or --deregister')
    if (deregister && changeQuorum) throw new CliError('--change-quorum is for a key that is being registered')
    const client = await invocation.loggedIn()
    const password = changePassword ? await newPassword(undefined, invocation) : undefined
    const publicKey = async () => readTokenFile(await invocation.ask('Enter public key PEM file path:'))
    const changed = await client.users.changeMfa({
      ...user,
      password,
      change: token === undefined ? 'deregister' : { publicKey, sign: signByFile(token, invocation), changeQuorum },
    })
    return { username: changed.username, role: changed.role }
  },
})
