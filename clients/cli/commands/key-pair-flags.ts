import { z } from 'zod'
import type { KeyPair } from '../../sdk/keys.ts'
import { attributesFlag, withLabel } from '../attributes.ts'
import type { OptionSpec } from '../command.ts'
import { presentKey } from '../present.ts'
import { creationOf, privateQuorumInput, quorumFlags, sharingFlags, sharingInput } from './creation-flags.ts'

/** The flags that every kind of key pair takes. */
export const keyPairFlags = [
  { flags: '--public-label <label>', description: 'label of the public key', required: true },
  { flags: '--private-label <label>', description: 'label of the private key', required: true },
  { flags: '--public-attributes <attributes...>', description: 'attributes of the public key, as NAME=VALUE' },
  { flags: '--private-attributes <attributes...>', description: 'attributes of the private key, as NAME=VALUE' },
  { flags: '--session', description: 'make session keys, which end with the login' },
  ...sharingFlags,
  ...quorumFlags('private-'),
] as const satisfies readonly OptionSpec[]

export const keyPairInput = z.object({
  publicLabel: z.string().max(127),
  privateLabel: z.string().max(127),
  publicAttributes: attributesFlag,
  privateAttributes: attributesFlag,
  session: z.boolean().default(false),
  ...sharingInput,
  ...privateQuorumInput,
})

/** What the HSM is asked of both keys. */
export function templatesOf(input: z.output<typeof keyPairInput>) {
  return {
    publicAttributes: withLabel(input.publicAttributes, input.publicLabel, input.session),
    privateAttributes: withLabel(input.privateAttributes, input.privateLabel, input.session),
    ...creationOf(input, input.managePrivateKeyQuorumValue, input.usePrivateKeyQuorumValue),
  }
}

export function presentPair({ publicKey, privateKey }: KeyPair) {
  return { public_key: presentKey(publicKey), private_key: presentKey(privateKey) }
}
