import { z } from 'zod'
import { ML_DSA_PARAMETER_SETS } from '../../../workers/hsm/protocol/mechanisms.ts'
import { command } from '../command.ts'
import { keyPairFlags, keyPairInput, presentPair, templatesOf } from './key-pair-flags.ts'

export const keyGeneratePairMlDsa = command({
  path: 'key generate-asymmetric-pair ml-dsa',
  summary: 'Generate an ML-DSA key pair (FIPS 204)',
  options: [
    ...keyPairFlags,
    {
      flags: '--mldsa-algorithm <algorithm>',
      description: 'the parameter set',
      required: true,
      choices: ML_DSA_PARAMETER_SETS,
    },
  ],
  input: keyPairInput.extend({ mldsaAlgorithm: z.enum(ML_DSA_PARAMETER_SETS) }),
  run: async (input, { loggedIn }) => {
    const client = await loggedIn()
    const pair = await client.keys.generateMlDsa({ parameterSet: input.mldsaAlgorithm, ...templatesOf(input) })
    return presentPair(pair)
  },
})
