/** Making keys. */
import { curveNamed } from '../mechanisms/curves.ts'
import { generateEc } from '../mechanisms/ec.ts'
import { generateMlDsa } from '../mechanisms/ml-dsa.ts'
import { generateMlKem } from '../mechanisms/ml-kem.ts'
import type { PairMaterial, SecretType } from '../mechanisms/mechanism.ts'
import { generateRsa } from '../mechanisms/rsa.ts'
import { generateSecret } from '../mechanisms/secret-keys.ts'
import { requireAllowedSize } from '../policy/mechanism-policy.ts'
import type { PolicyMechanism } from '../policy/policy-table.ts'
import type { AttributeTemplate, KeyInfo } from '../protocol/attributes.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { KeySize } from '../protocol/key-sizes.ts'
import type { Handlers } from '../server/port-server.ts'
import type { Creation } from '../vault/key-order.ts'
import { requireCluster, type ClientHsm } from './client-hsm.ts'
import { admitCaller, type ClientConnection, type Session } from './session.ts'

interface SecretOrder extends Creation {
  readonly attributes: AttributeTemplate
}

interface PairOrder extends Creation {
  readonly publicAttributes: AttributeTemplate
  readonly privateAttributes: AttributeTemplate
}

export function generateHandlers(hsm: ClientHsm) {
  const generateOne = async (
    operation: keyof ClientOperations,
    connection: ClientConnection,
    { attributes, ...creation }: SecretOrder,
    type: SecretType,
    lengthBytes: number,
  ) => {
    const owner = admitCaller(operation, hsm, connection)
    requireAllowedSize(type, 'generate', lengthBytes, requireCluster(hsm))
    const [key] = await hsm.keys.create({
      ...creation,
      owner,
      scope: connection.context,
      orders: [{ class: 'secret-key', template: attributes }],
      generate: () => [generateSecret(type, lengthBytes)],
    })
    endIfGone(hsm, connection)
    return { key: present(key) }
  }

  const generatePair = async (
    operation: keyof ClientOperations,
    connection: ClientConnection,
    { publicAttributes, privateAttributes, ...creation }: PairOrder,
    { mechanism, size }: { readonly mechanism: PolicyMechanism; readonly size: KeySize },
    generate: () => Promise<PairMaterial>,
  ) => {
    const owner = admitCaller(operation, hsm, connection)
    requireAllowedSize(mechanism, 'generate', size, requireCluster(hsm))
    const [publicKey, privateKey] = await hsm.keys.create({
      ...creation,
      owner,
      scope: connection.context,
      orders: [
        { class: 'public-key', template: publicAttributes },
        { class: 'private-key', template: privateAttributes },
      ],
      generate: async () => {
        const pair = await generate()
        return [pair.publicKey, pair.privateKey]
      },
    })
    endIfGone(hsm, connection)
    return { publicKey: present(publicKey), privateKey: present(privateKey) }
  }

  return {
    'key-generate-aes': ({ lengthBytes, ...order }, connection) =>
      generateOne('key-generate-aes', connection, order, 'aes', lengthBytes),

    'key-generate-des3': (order, connection) => generateOne('key-generate-des3', connection, order, 'des3', 24),

    'key-generate-generic-secret': ({ lengthBytes, ...order }, connection) =>
      generateOne('key-generate-generic-secret', connection, order, 'generic-secret', lengthBytes),

    'key-generate-rsa': ({ modulusBits, publicExponent, mechanism = 'rsa-pkcs', ...order }, connection) =>
      generatePair(
        'key-generate-rsa',
        connection,
        order,
        { mechanism: mechanism === 'rsa-pkcs' ? 'rsa' : mechanism, size: modulusBits },
        () => generateRsa(modulusBits, publicExponent),
      ),

    'key-generate-ec'({ curve, ...order }, connection) {
      const size = curveNamed(curve)
      const mechanism = size === 'Ed25519' ? 'ed25519' : 'ec'
      return generatePair('key-generate-ec', connection, order, { mechanism, size }, () => generateEc(curve))
    },

    'key-generate-ml-dsa': ({ parameterSet: size, ...order }, connection) =>
      generatePair('key-generate-ml-dsa', connection, order, { mechanism: 'ml-dsa', size }, () => generateMlDsa(size)),

    'key-generate-ml-kem': ({ parameterSet: size, ...order }, connection) =>
      generatePair('key-generate-ml-kem', connection, order, { mechanism: 'ml-kem', size }, () => generateMlKem(size)),
  } satisfies Partial<Handlers<ClientOperations, Session>>
}

/** A connection that ended while its keys were made ends them now: nobody else would. */
export function endIfGone({ keys }: ClientHsm, { socket, context }: ClientConnection): void {
  if (socket.destroyed || !context.caller) keys.endSession(context)
}

/** The key that an order brought. */
export function present(key: KeyInfo | undefined): KeyInfo {
  if (!key) throw new Error('every key that was ordered is made')
  return key
}
