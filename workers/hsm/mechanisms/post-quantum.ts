/** What ML-DSA and ML-KEM keys say of themselves: FIPS 204 §4 table 2, FIPS 203 §8 table 3. */
import type { MlDsaParameterSet, MlKemParameterSet } from '../protocol/mechanisms.ts'
import { ML_DSA_PARAMETER_SETS, ML_KEM_PARAMETER_SETS } from '../protocol/mechanisms.ts'
import type { DescribePair } from './describe.ts'

interface Sizes {
  readonly public: number
  readonly private: number
}

/** Bytes. */
const ML_DSA = {
  'ML-DSA-44': { public: 1312, private: 2560 },
  'ML-DSA-65': { public: 1952, private: 4032 },
  'ML-DSA-87': { public: 2592, private: 4896 },
} as const satisfies Record<MlDsaParameterSet, Sizes>

const ML_KEM = {
  'ML-KEM-512': { public: 800, private: 1632 },
  'ML-KEM-768': { public: 1184, private: 2400 },
  'ML-KEM-1024': { public: 1568, private: 3168 },
} as const satisfies Record<MlKemParameterSet, Sizes>

export const describeMlDsa: DescribePair = (_spki, { asymmetricKeyType }) => {
  const set = ML_DSA_PARAMETER_SETS.find((name) => name.toLowerCase() === asymmetricKeyType)
  if (!set) throw new Error('not an ML-DSA key')
  const { public: publicLength, private: privateLength } = ML_DSA[set]
  return { attributes: { 'key-type': 'ml-dsa', 'mldsa-algorithm': set }, publicLength, privateLength }
}

export const describeMlKem: DescribePair = (_spki, { asymmetricKeyType }) => {
  const set = ML_KEM_PARAMETER_SETS.find((name) => name.toLowerCase() === asymmetricKeyType)
  if (!set) throw new Error('not an ML-KEM key')
  const { public: publicLength, private: privateLength } = ML_KEM[set]
  return { attributes: { 'key-type': 'ml-kem', 'mlkem-algorithm': set }, publicLength, privateLength }
}

/** Bytes of a ciphertext by node:crypto's name of the key type: FIPS 203 table 3. */
export const CIPHERTEXT_BYTES: Readonly<Record<string, number>> = {
  'ml-kem-512': 768,
  'ml-kem-768': 1088,
  'ml-kem-1024': 1568,
}
