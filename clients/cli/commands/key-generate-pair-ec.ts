import { z } from 'zod'
import { CURVES } from '../../../workers/hsm/protocol/mechanisms.ts'
import { command } from '../command.ts'
import { keyPairFlags, keyPairInput, presentPair, templatesOf } from './key-pair-flags.ts'

export const keyGeneratePairEc = command({
  path: 'key generate-asymmetric-pair ec',
  summary: 'Generate a key pair on an elliptic curve',
  options: [...keyPairFlags, { flags: '--curve <curve>', description: 'the curve', required: true, choices: CURVES }],
  input: keyPairInput.extend({ curve: z.enum(CURVES) }),
  run: async (input, { loggedIn }) => {
    const client = await loggedIn()
    const pair = await client.keys.generateEc({ curve: input.curve, ...templatesOf(input) })
    return presentPair(pair)
  },
})
