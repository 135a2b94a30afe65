import { z } from 'zod'
import { MAX_WRAPPED_BYTES } from '../../../workers/hsm/protocol/mechanisms.ts'
import { attributesFlag, withLabel } from '../attributes.ts'
import { command, type Command } from '../command.ts'
import { requiredFilterFlag, selectKey } from '../filters.ts'
import { presentKey } from '../present.ts'
import { creationOf, quorumFlags, quorumInput, sharingFlags, sharingInput } from './creation-flags.ts'
import { bytesOf } from './message.ts'
import { WRAP_COMMANDS } from './wrap-mechanisms.ts'

/** What `--key-type-class` says. */
const CLASSES = {
  aes: { class: 'secret-key', type: 'aes' },
  des3: { class: 'secret-key', type: 'des3' },
  'ec-private': { class: 'private-key', type: 'ec' },
  'generic-secret': { class: 'secret-key', type: 'generic-secret' },
  'rsa-private': { class: 'private-key', type: 'rsa' },
} as const

const common = z.object({
  filter: requiredFilterFlag,
  keyTypeClass: z.enum(['aes', 'des3', 'ec-private', 'generic-secret', 'rsa-private']),
  label: z.string().max(127),
  data: z.base64().optional(),
  dataPath: z.string().min(1).optional(),
  attributes: attributesFlag,
  session: z.boolean().default(false),
  ...sharingInput,
  ...quorumInput,
})

export const keyUnwrap: readonly Command[] = WRAP_COMMANDS.map(({ name, title, flags, unwrapFlags, unwrap }) =>
  command({
    path: `key unwrap ${name}`,
    summary: `Unwrap a key with ${title}`,
    options: [
      { flags: '--filter <filter...>', description: 'selects the key to unwrap with', required: true },
      {
        flags: '--key-type-class <class>',
        description: 'what kind of key was wrapped',
        required: true,
        choices: Object.keys(CLASSES),
      },
      { flags: '--label <label>', description: 'label of the new key', required: true },
      { flags: '--data <base64>', description: 'the wrapped key, base64; or --data-path' },
      { flags: '--data-path <file>', description: 'a file that holds the wrapped key' },
      { flags: '--attributes <attributes...>', description: 'attributes of the new key, as NAME=VALUE' },
      { flags: '--session', description: 'make a session key, which ends with the login' },
      ...sharingFlags,
      ...quorumFlags(''),
      ...flags,
      ...unwrapFlags,
    ],
    input: z.intersection(
      common,
      unwrap.transform((mechanism) => ({ mechanism })),
    ),
    run: async (input, { loggedIn }) => {
      const wrapped = await bytesOf('data', input.data, input.dataPath, MAX_WRAPPED_BYTES)
      const client = await loggedIn()
      const { handle } = await selectKey(client, input.filter)
      const key = await client.keys.unwrap({
        ...CLASSES[input.keyTypeClass],
        handle,
        mechanism: input.mechanism,
        wrapped,
        attributes: withLabel(input.attributes, input.label, input.session),
        ...creationOf(input, input.manageKeyQuorumValue, input.useKeyQuorumValue),
      })
      return { key: presentKey(key) }
    },
  }),
)
