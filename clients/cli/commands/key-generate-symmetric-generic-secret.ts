import { z } from 'zod'
import { genericSecretBytes } from '../../../workers/hsm/protocol/key-sizes.ts'
import { command } from '../command.ts'
import { presentKey } from '../present.ts'
import { secretKeyFlags, secretKeyInput, templateOf } from './secret-key-flags.ts'

export const keyGenerateSymmetricGenericSecret = command({
  path: 'key generate-symmetric generic-secret',
  summary: 'Generate a generic secret, for HMAC and to derive keys from',
  options: [
    ...secretKeyFlags,
    { flags: '--key-length-bytes <bytes>', description: 'length of the secret in bytes, 1 to 800', required: true },
  ],
  input: secretKeyInput.extend({ keyLengthBytes: z.coerce.number().pipe(genericSecretBytes) }),
  run: async (input, { loggedIn }) => {
    const client = await loggedIn()
    const key = await client.keys.generateGenericSecret({ lengthBytes: input.keyLengthBytes, ...templateOf(input) })
    return { key: presentKey(key) }
  },
})
