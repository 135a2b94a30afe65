import { z } from 'zod'
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
    modulusSizeBits: z.coerce.number().int().min(2048).max(4096).multipleOf(256),
    publicExponent: z.coerce
      .number()
      .int()
      .min(65537)
      .max(0xffffffff)
      .refine((exponent) => exponent % 2 === 1, 'a public exponent is odd'),
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
