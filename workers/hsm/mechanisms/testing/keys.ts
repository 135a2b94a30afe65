/** Keys of every type for tests in this process. */
import { BOOLEAN_ATTRIBUTES, type BooleanAttribute } from '../../protocol/attributes.ts'
import { curveOf } from '../curves.ts'
import { generateEc } from '../ec.ts'
import type { KeyMaterial, PairMaterial, UsableKey } from '../mechanism.ts'
import { generateMlDsa } from '../ml-dsa.ts'
import { generateMlKem } from '../ml-kem.ts'
import { generateRsa } from '../rsa.ts'
import { generateSecret } from '../secret-keys.ts'

/** A key of this material that may do everything, but for what `denied` names. */
export function usable(material: KeyMaterial, ...denied: BooleanAttribute[]): UsableKey {
  const { attributes, class: keyClass, object } = material
  const { 'modulus-size-bits': modulusBits } = attributes
  const allowed = Object.fromEntries(BOOLEAN_ATTRIBUTES.map((name) => [name, !denied.includes(name)])) as Record<
    BooleanAttribute,
    boolean
  >
  return {
    type: attributes['key-type'],
    class: keyClass,
    object,
    ...(modulusBits !== undefined && { modulusBits }),
    ...(attributes['key-type'] === 'ec' && { curve: curveOf(attributes.curve) }),
    attributes: { ...attributes, ...allowed, label: '', id: '0x', class: keyClass },
  }
}

export interface UsablePair {
  readonly open: UsableKey
  readonly secret: UsableKey
}

export const usablePair = ({ publicKey, privateKey }: PairMaterial): UsablePair => ({
  open: usable(publicKey),
  secret: usable(privateKey),
})

export async function keysOfEveryType() {
  return {
    rsa: usablePair(await generateRsa(2048, 65537)),
    ec: usablePair(await generateEc('prime256v1')),
    ed25519: usablePair(await generateEc('ed25519')),
    mlDsa: usablePair(await generateMlDsa('ML-DSA-44')),
    mlKem: usablePair(await generateMlKem('ML-KEM-512')),
    aes: usable(generateSecret('aes', 32)),
    des3: usable(generateSecret('des3', 24)),
    generic: usable(generateSecret('generic-secret', 32)),
  }
}

export type TestKeys = Awaited<ReturnType<typeof keysOfEveryType>>
