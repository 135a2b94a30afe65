/** Keys agreed on by encapsulation (ML-KEM). Beyond AWS. */
import { importMaterial } from '../mechanisms/import.ts'
import { decapsulate, encapsulate } from '../mechanisms/ml-kem.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import type { CreateOptions } from '../vault/key-making.ts'
import { unwrapTemplate } from '../vault/wrapping.ts'
import { requireCluster, type ClientHsm } from './client-hsm.ts'
import { endIfGone, present } from './generate-handlers.ts'
import { admitCaller, type ClientConnection, type Session } from './session.ts'

export function kemHandlers(hsm: ClientHsm) {
  /** Of a shared secret, which is wiped. Its maker may know it: it counts as one that came from outside. */
  const createOf = async (
    connection: ClientConnection,
    {
      secret,
      type,
      ...options
    }: Omit<CreateOptions, 'scope' | 'generate'> & {
      readonly secret: Buffer
      readonly type: 'aes' | 'generic-secret'
    },
  ) => {
    const place = requireCluster(hsm)
    try {
      const [key] = await hsm.keys.create({
        ...options,
        scope: connection.context,
        generate: () => [importMaterial({ class: 'secret-key', type, ...place }, secret)],
      })
      endIfGone(hsm, connection)
      return present(key)
    } finally {
      secret.fill(0)
    }
  }

  return {
    async 'key-encapsulate'({ handle, type, attributes, ...creation }, connection) {
      const owner = admitCaller('key-encapsulate', hsm, connection)
      const key = hsm.keys.usable(owner, handle, creation.requireTwoCopies)
      const { sharedSecret, ciphertext } = encapsulate(key, requireCluster(hsm))
      const orders = [{ class: 'secret-key', template: attributes }] as const
      const made = await createOf(connection, {
        ...creation,
        owner,
        origin: 'import',
        orders,
        secret: sharedSecret,
        type,
      })
      return { ciphertext, key: made }
    },

    async 'key-decapsulate'({ handle, ciphertext, type, attributes, ...creation }, connection) {
      const owner = admitCaller('key-decapsulate', hsm, connection)
      const key = hsm.keys.usable(owner, handle, creation.requireTwoCopies)
      const template = unwrapTemplate(hsm.keys, key, { class: 'secret-key', type, attributes })
      const secret = decapsulate(key, ciphertext, requireCluster(hsm))
      const orders = [{ class: 'secret-key', template }] as const
      return { key: await createOf(connection, { ...creation, owner, origin: 'unwrap', orders, secret, type }) }
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}
