import { z } from 'zod'
import { attributesFlag, withLabel } from '../attributes.ts'
import { command } from '../command.ts'
import { presentKey } from '../present.ts'
import { creationOf, quorumFlags, quorumInput, sharingFlags, sharingInput } from './creation-flags.ts'

export const keyGenerateSymmetricAes = command({
  path: 'key generate-symmetric aes',
  summary: 'Generate an AES key',
  options: [
    { flags: '--label <label>', description: 'label of the key', required: true },
    {
      flags: '--key-length-bytes <bytes>',
      description: 'length of the key in bytes',
      required: true,
      choices: ['16', '24', '32'],
    },
    { flags: '--attributes <attributes...>', description: 'attributes of the key, as NAME=VALUE' },
    { flags: '--session', description: 'make a session key, which ends with the login' },
    ...sharingFlags,
    ...quorumFlags(''),
  ],
  input: z.object({
    label: z.string().max(127),
    keyLengthBytes: z.coerce.number().pipe(z.union([z.literal(16), z.literal(24), z.literal(32)])),
    attributes: attributesFlag,
    session: z.boolean().default(false),
    ...sharingInput,
    ...quorumInput,
  }),
  run: async ({ label, keyLengthBytes, attributes, session, ...input }, { loggedIn }) => {
    const client = await loggedIn()
    const key = await client.keys.generateAes({
      lengthBytes: keyLengthBytes,
      attributes: withLabel(attributes, label, session),
      ...creationOf(input, input.manageKeyQuorumValue, input.useKeyQuorumValue),
    })
    return { key: presentKey(key) }
  },
})
