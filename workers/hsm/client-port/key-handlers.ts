/** Finding, changing, sharing, exporting (public halves) and deleting keys. */
import { createPublicKey } from 'node:crypto'
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Handlers } from '../server/port-server.ts'
import { setAttributes, setShared, valueOf } from '../vault/key-management.ts'
import type { ClientHsm } from './client-hsm.ts'
import { admitCaller, type Session } from './session.ts'

export function keyHandlers(hsm: ClientHsm) {
  return {
    'key-find'({ filter, offset, limit }, connection) {
      const caller = admitCaller('key-find', hsm, connection)
      return hsm.keys.find(caller, filter, { offset, limit })
    },

    'key-describe'({ handles }, connection) {
      return { keys: hsm.keys.describe(admitCaller('key-describe', hsm, connection), handles) }
    },

    async 'key-delete'({ handle }, connection) {
      await hsm.keys.delete(admitCaller('key-delete', hsm, connection), handle)
      return {}
    },

    'key-public'({ handle }, connection) {
      const key = hsm.keys.usable(admitCaller('key-public', hsm, connection), handle, false)
      if (key.class === 'secret-key') {
        throw new HsmError('KeyFunctionNotPermitted', 'a secret key has no public half')
      }
      const publicKey = key.class === 'public-key' ? key.object : createPublicKey(key.object)
      return { spki: publicKey.export({ type: 'spki', format: 'der' }) }
    },

    'key-value'({ handle }, connection) {
      return { value: valueOf(hsm.keys, admitCaller('key-value', hsm, connection), handle) }
    },

    async 'key-set-attribute'({ handle, attributes }, connection) {
      const caller = admitCaller('key-set-attribute', hsm, connection)
      return { key: await setAttributes(hsm.keys, caller, handle, attributes) }
    },

    async 'key-share'({ handle, username }, connection) {
      const caller = admitCaller('key-share', hsm, connection)
      return { key: await setShared(hsm.keys, caller, { handle, username, shared: true }) }
    },

    async 'key-unshare'({ handle, username }, connection) {
      const caller = admitCaller('key-unshare', hsm, connection)
      return { key: await setShared(hsm.keys, caller, { handle, username, shared: false }) }
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}
