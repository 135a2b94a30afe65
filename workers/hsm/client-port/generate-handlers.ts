/** Making keys. */
import { generateEc } from '../mechanisms/ec.ts'
import type { PairMaterial } from '../mechanisms/mechanism.ts'
import { generateRsa } from '../mechanisms/rsa.ts'
import { generateSecret } from '../mechanisms/secret-keys.ts'
import type { AttributeTemplate, KeyInfo } from '../protocol/attributes.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import type { Creation } from '../vault/key-order.ts'
import type { ClientHsm } from './client-hsm.ts'
import { admitCaller, type ClientConnection, type Session } from './session.ts'

interface PairOrder extends Creation {
  readonly publicAttributes: AttributeTemplate
  readonly privateAttributes: AttributeTemplate
}

export function generateHandlers(hsm: ClientHsm) {
  const generatePair = async (
    operation: 'key-generate-rsa' | 'key-generate-ec',
    connection: ClientConnection,
    { publicAttributes, privateAttributes, ...creation }: PairOrder,
    generate: () => Promise<PairMaterial>,
  ) => {
    const [publicKey, privateKey] = await hsm.keys.create({
      ...creation,
      owner: admitCaller(operation, hsm, connection),
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
    async 'key-generate-aes'({ lengthBytes, attributes, ...creation }, connection) {
      const [key] = await hsm.keys.create({
        ...creation,
        owner: admitCaller('key-generate-aes', hsm, connection),
        scope: connection.context,
        orders: [{ class: 'secret-key', template: attributes }],
        generate: () => [generateSecret('aes', lengthBytes)],
      })
      endIfGone(hsm, connection)
      return { key: present(key) }
    },

    'key-generate-rsa': (params, connection) =>
      generatePair('key-generate-rsa', connection, params, () =>
        generateRsa(params.modulusBits, params.publicExponent),
      ),

    'key-generate-ec': (params, connection) =>
      generatePair('key-generate-ec', connection, params, () => generateEc(params.curve)),
  } satisfies Partial<Handlers<ClientOperations, Session>>
}

/** A connection that ended while its keys were made ends them now: nobody else would. */
export function endIfGone({ keys }: ClientHsm, { socket, context }: ClientConnection): void {
  if (socket.destroyed || !context.caller) keys.endSession(context)
}

function present(key: KeyInfo | undefined): KeyInfo {
  if (!key) throw new Error('every key that was ordered is made')
  return key
}
