import { z } from 'zod'
import { attributesFlag, withLabel } from '../attributes.ts'
import type { OptionSpec } from '../command.ts'
import { creationOf, quorumFlags, quorumInput, sharingFlags, sharingInput } from './creation-flags.ts'

/** The flags that every kind of symmetric key takes, beside its length. */
export const secretKeyFlags = [
  { flags: '--label <label>', description: 'label of the key', required: true },
  { flags: '--attributes <attributes...>', description: 'attributes of the key, as NAME=VALUE' },
  { flags: '--session', description: 'make a session key, which ends with the login' },
  ...sharingFlags,
  ...quorumFlags(''),
] as const satisfies readonly OptionSpec[]

export const secretKeyInput = z.object({
  label: z.string().max(127),
  attributes: attributesFlag,
  session: z.boolean().default(false),
  ...sharingInput,
  ...quorumInput,
})

/** What the HSM is asked of the key. */
export function templateOf(input: z.output<typeof secretKeyInput>) {
  return {
    attributes: withLabel(input.attributes, input.label, input.session),
    ...creationOf(input, input.manageKeyQuorumValue, input.useKeyQuorumValue),
  }
}
