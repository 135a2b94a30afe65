/** ML-KEM (FIPS 203) by OpenSSL. Beyond AWS CloudHSM, which does not offer it. */
import { decapsulate as cryptoDecapsulate, encapsulate as cryptoEncapsulate, generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import { requireAllowed, type Place } from '../policy/mechanism-policy.ts'
import { HsmError } from '../protocol/errors.ts'
import type { MlKemParameterSet } from '../protocol/mechanisms.ts'
import { pairMaterial } from './describe.ts'
import type { PairMaterial, UsableKey } from './mechanism.ts'
import { CIPHERTEXT_BYTES, describeMlKem } from './post-quantum.ts'

const NODE_NAME = {
  'ML-KEM-512': 'ml-kem-512',
  'ML-KEM-768': 'ml-kem-768',
  'ML-KEM-1024': 'ml-kem-1024',
} as const satisfies Record<MlKemParameterSet, string>

export async function generateMlKem(set: MlKemParameterSet): Promise<PairMaterial> {
  const { privateKey } = await promisify(generateKeyPair)(NODE_NAME[set], {})
  return pairMaterial(privateKey, describeMlKem)
}

/** PKCS#11 2.40 has no attribute for it: who may wrap with a key may send it a new one. The caller wipes the secret. */
export function encapsulate(key: UsableKey, place: Place): { sharedSecret: Buffer; ciphertext: Buffer } {
  requireKem('encapsulate', key, place)
  const { sharedKey, ciphertext } = cryptoEncapsulate(key.object)
  return { sharedSecret: sharedKey, ciphertext }
}

/** The caller wipes what it gets. */
export function decapsulate(key: UsableKey, ciphertext: Uint8Array, place: Place): Buffer {
  requireKem('decapsulate', key, place)
  const expected = CIPHERTEXT_BYTES[key.object.asymmetricKeyType ?? '']
  if (ciphertext.length !== expected) {
    throw new HsmError(
      'InvalidRequest',
      `a ciphertext for this key has ${expected ?? 0} bytes, not ${ciphertext.length}`,
    )
  }
  return cryptoDecapsulate(key.object, ciphertext)
}

const NEEDS = {
  encapsulate: { class: 'public-key', attribute: 'wrap' },
  decapsulate: { class: 'private-key', attribute: 'unwrap' },
} as const

function requireKem(use: keyof typeof NEEDS, key: UsableKey, place: Place): void {
  requireAllowed('ml-kem', use, place)
  if (key.type !== 'ml-kem') throw new HsmError('MechanismInvalid', `to ${use} takes an ml-kem key, not ${key.type}`)
  const needed = NEEDS[use]
  if (key.class !== needed.class) {
    throw new HsmError('KeyFunctionNotPermitted', `to ${use} takes a ${needed.class}, not a ${key.class}`)
  }
  if (!key.attributes[needed.attribute]) {
    throw new HsmError('KeyFunctionNotPermitted', `the key's attribute ${needed.attribute} is false`)
  }
}
