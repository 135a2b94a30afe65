/** Importing, wrapping, unwrapping and deriving keys. */
import { deriveMaterial, importMaterial, unwrapMaterial, wrapMaterial } from '../mechanisms/registry.ts'
import type { KeyMaterial } from '../mechanisms/mechanism.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Handlers } from '../server/port-server.ts'
import type { CreateOptions } from '../vault/key-making.ts'
import { deriveTemplate, requireWrap, unwrapTemplate } from '../vault/wrapping.ts'
import { requireCluster, type ClientHsm } from './client-hsm.ts'
import { endIfGone, present } from './generate-handlers.ts'
import { admitCaller, type ClientConnection, type Session } from './session.ts'

type OneKey = Omit<CreateOptions, 'scope' | 'orders' | 'generate'> & {
  readonly order: CreateOptions['orders'][number]
  readonly material: () => KeyMaterial
}

export function transferHandlers(hsm: ClientHsm) {
  const createOne = async (connection: ClientConnection, { order, material, ...options }: OneKey) => {
    const [key] = await hsm.keys.create({
      ...options,
      scope: connection.context,
      orders: [order],
      generate: () => [material()],
    })
    endIfGone(hsm, connection)
    return { key: present(key) }
  }

  return {
    'key-import'({ class: keyClass, type, key, attributes, ...creation }, connection) {
      const owner = admitCaller('key-import', hsm, connection)
      const { mode, hsmType } = requireCluster(hsm)
      return createOne(connection, {
        ...creation,
        owner,
        origin: 'import',
        order: { class: keyClass, template: attributes },
        material: () =>
          consumed(key, (bytes) => importMaterial({ class: keyClass, type, mode, hsmType, origin: 'import' }, bytes)),
      })
    },

    'key-wrap'({ handle, wrappingHandle, mechanism, requireTwoCopies }, connection) {
      const caller = admitCaller('key-wrap', hsm, connection)
      const { mode, hsmType } = requireCluster(hsm)
      hsm.keys.owned(caller, handle, 'wraps')
      const payload = hsm.keys.usable(caller, handle, requireTwoCopies)
      const key = hsm.keys.usable(caller, wrappingHandle, requireTwoCopies)
      requireWrap(hsm.keys, key, payload)
      const { class: keyClass, type, material: bytes } = payload
      return wrapMaterial(mechanism, { key, payload: { class: keyClass, type, bytes }, mode, hsmType })
    },

    'key-unwrap'({ handle, mechanism, wrapped, class: keyClass, type, attributes, ...creation }, connection) {
      const owner = admitCaller('key-unwrap', hsm, connection)
      const { mode, hsmType } = requireCluster(hsm)
      const key = hsm.keys.usable(owner, handle, creation.requireTwoCopies)
      const template = unwrapTemplate(hsm.keys, key, { class: keyClass, type, attributes })
      return createOne(connection, {
        ...creation,
        owner,
        origin: 'unwrap',
        order: { class: keyClass, template },
        material: () =>
          unwrapped(mechanism.name, () =>
            consumed(unwrapMaterial(mechanism, { key, wrapped, mode, hsmType }), (bytes) =>
              importMaterial({ class: keyClass, type, mode, hsmType, origin: 'unwrap' }, bytes),
            ),
          ),
      })
    },

    'key-derive'({ handle, mechanism, type, lengthBytes, attributes, ...creation }, connection) {
      const owner = admitCaller('key-derive', hsm, connection)
      const { mode, hsmType } = requireCluster(hsm)
      const { keys } = hsm
      keys.owned(owner, handle, 'derives from')
      const base = keys.usable(owner, handle, creation.requireTwoCopies)
      return createOne(connection, {
        ...creation,
        owner,
        origin: 'derive',
        base,
        order: { class: 'secret-key', template: deriveTemplate(keys, base, attributes) },
        material: () =>
          consumed(deriveMaterial(mechanism, { key: base, lengthBytes, mode, hsmType }), (bytes) =>
            importMaterial({ class: 'secret-key', type, mode, hsmType, origin: 'derive' }, bytes),
          ),
      })
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}

/** Key bytes are wiped as soon as there is a key of them. */
function consumed<Result>(bytes: Uint8Array, use: (bytes: Uint8Array) => Result): Result {
  try {
    return use(bytes)
  } finally {
    bytes.fill(0)
  }
}

/** Mechanisms whose padding is all that tells whether something was altered. */
const PADDED: readonly string[] = ['aes-cbc-pad', 'rsa-pkcs']

/**
 * With these every failure is told in the same words: who learns which it was reads, guess by guess, whatever was
 * encrypted with the key (Bardou et al., "Efficient padding oracle attacks on cryptographic hardware", CRYPTO 2012).
 */
function unwrapped(mechanism: string, unwrap: () => KeyMaterial): KeyMaterial {
  if (!PADDED.includes(mechanism)) return unwrap()
  try {
    return unwrap()
  } catch (cause) {
    const isPadding = cause instanceof HsmError && cause.code === 'DecryptionFailed'
    const isContent =
      cause instanceof HsmError && (cause.code === 'InvalidRequest' || cause.code === 'MechanismInvalid')
    if (!isPadding && !isContent) throw cause
    throw new HsmError('DecryptionFailed', `the data is no key of this type, wrapped with this key by ${mechanism}`, {
      cause,
    })
  }
}
