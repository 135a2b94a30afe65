/** ML-DSA (FIPS 204) by OpenSSL: key pairs and signatures, hedged, with a context string. */
import { generateKeyPair, sign as cryptoSign, verify as cryptoVerify, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { HsmError } from '../protocol/errors.ts'
import { ML_DSA_PARAMETER_SETS, type MlDsaParameterSet } from '../protocol/mechanisms.ts'
import { pairMaterial } from './describe.ts'
import type { PairMaterial, Signing } from './mechanism.ts'
import { openssl, type OpenSsl } from './openssl.ts'
import { describeMlDsa } from './post-quantum.ts'

/** Bytes of μ (FIPS 204 algorithm 7, line 6). */
const MU_BYTES = 64

const NODE_NAME = {
  'ML-DSA-44': 'ml-dsa-44',
  'ML-DSA-65': 'ml-dsa-65',
  'ML-DSA-87': 'ml-dsa-87',
} as const satisfies Record<MlDsaParameterSet, string>

export async function generateMlDsa(set: MlDsaParameterSet): Promise<PairMaterial> {
  const { privateKey } = await promisify(generateKeyPair)(NODE_NAME[set], {})
  return pairMaterial(privateKey, describeMlDsa)
}

export interface MlDsaParams {
  readonly context?: Uint8Array | undefined
  readonly dataType: 'raw' | 'external-mu'
}

export const mlDsa: Signing<MlDsaParams> = {
  name: 'ml-dsa',
  keyType: 'ml-dsa',
  check(_use, _key, { context, dataType }, data) {
    if (dataType === 'raw') return
    if (data.length !== MU_BYTES) {
      throw new HsmError(
        'InvalidRequest',
        `an external mu has ${MU_BYTES} bytes, not ${data.length} (FIPS 204 section 6.2)`,
      )
    }
    if (context && context.length > 0) {
      throw new HsmError('InvalidRequest', 'an external mu already holds the context (FIPS 204 section 6.2)')
    }
  },
  sign({ object: key }, { context, dataType }, data) {
    if (dataType === 'external-mu') return native().sign(schemeOf(key), key, data)
    return cryptoSign(null, data, { key, ...(context && { context }) })
  },
  verify({ object: key }, { context, dataType }, data, signature) {
    if (dataType === 'external-mu') return native().verify(schemeOf(key), key, data, signature)
    return cryptoVerify(null, data, { key, ...(context && { context }) }, signature)
  },
}

function schemeOf({ asymmetricKeyType }: KeyObject): MlDsaParameterSet {
  const set = ML_DSA_PARAMETER_SETS.find((name) => NODE_NAME[name] === asymmetricKeyType)
  if (!set) throw new Error('not an ML-DSA key')
  return set
}

/** node:crypto takes messages only. */
function native(): OpenSsl {
  const functions = openssl()
  if (functions) return functions
  throw new HsmError('MechanismInvalid', 'an external mu needs OpenSSL through node:ffi, which this HSM does not have')
}
