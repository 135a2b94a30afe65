import { z } from 'zod'
import { modulusBits, publicExponent } from '../../../workers/hsm/protocol/key-sizes.ts'
import { command } from '../command.ts'
import { keyPairFlags, keyPairInput, presentPair, templatesOf } from './key-pair-flags.ts'

export const keyGeneratePairRsa = command({
  path: 'key generate-asymmetric-pair rsa',
  summary: 'Generate an RSA key pair',
  options: [
    ...keyPairFlags,
    { flags: '--modulus-size-bits <bits>', description: '2048 to 4096, in steps of 256', required: true },
    { flags: '--public-exponent <exponent>', description: 'an odd number of at least 65537', required: true },
  ],
  input: keyPairInput.extend({
    modulusSizeBits: z.coerce.number().pipe(modulusBits),
    publicExponent: z.coerce.number().pipe(publicExponent),
  }),
  run: async (input, { loggedIn }) => {
    const client = await loggedIn()
    const pair = await client.keys.generateRsa({
      modulusBits: input.modulusSizeBits,
      publicExponent: input.publicExponent,
      ...templatesOf(input),
    })
    return presentPair(pair)
  },
})
