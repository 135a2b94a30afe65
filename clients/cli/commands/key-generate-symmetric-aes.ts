import { z } from 'zod'
import { aesBytes } from '../../../workers/hsm/protocol/key-sizes.ts'
import { command } from '../command.ts'
import { presentKey } from '../present.ts'
import { secretKeyFlags, secretKeyInput, templateOf } from './secret-key-flags.ts'

export const keyGenerateSymmetricAes = command({
  path: 'key generate-symmetric aes',
  summary: 'Generate an AES key',
  options: [
    ...secretKeyFlags,
    {
      flags: '--key-length-bytes <bytes>',
      description: 'length of the key in bytes',
      required: true,
      choices: ['16', '24', '32'],
    },
  ],
  input: secretKeyInput.extend({
    keyLengthBytes: z.coerce.number().pipe(aesBytes),
  }),
  run: async (input, { loggedIn }) => {
    const client = await loggedIn()
    const key = await client.keys.generateAes({ lengthBytes: input.keyLengthBytes, ...templateOf(input) })
    return { key: presentKey(key) }
  },
})
