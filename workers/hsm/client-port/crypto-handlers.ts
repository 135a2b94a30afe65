/** Using keys: sign, verify, encrypt, decrypt; and random bytes. */
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { Later } from '../later.ts'
import type { Place } from '../mechanisms/mechanism.ts'
import { random } from '../mechanisms/random.ts'
import { decrypt, encrypt, sign, verify } from '../mechanisms/registry.ts'
import { requireAllowed } from '../policy/mechanism-policy.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import { requireCluster, type ClientHsm } from './client-hsm.ts'
import { admitCaller, type Session } from './session.ts'

/** Cores that this process may use; it may be pinned to some of the machine's. */
const CORES = availableParallelism()

export function cryptoHandlers(hsm: ClientHsm) {
  /**
   * One request alone is answered soonest without changing threads; several share libuv's threads. On a single core those
   * only cost: 12% of the RSA-2048 signatures of a second.
   */
  const place = (): Place => (CORES > 1 && hsm.load() > 1 ? 'pool' : 'inline')

  return {
    sign({ handle, mechanism, data, requireTwoCopies }, connection) {
      const key = hsm.keys.usable(admitCaller('sign', hsm, connection), handle, requireTwoCopies)
      const { mode, hsmType } = requireCluster(hsm)
      const signature = sign(mechanism, { key, data, mode, hsmType, place: place() })
      if (signature instanceof Later) return signature.map((bytes) => ({ signature: bytes }))
      return signature instanceof Promise ? signature.then((bytes) => ({ signature: bytes })) : { signature }
    },

    verify({ handle, mechanism, data, signature, requireTwoCopies }, connection) {
      const key = hsm.keys.usable(admitCaller('verify', hsm, connection), handle, requireTwoCopies)
      const { mode, hsmType } = requireCluster(hsm)
      const valid = verify(mechanism, { key, data, mode, hsmType, place: place(), signature })
      return valid instanceof Promise ? valid.then((answer) => ({ valid: answer })) : { valid }
    },

    encrypt({ handle, mechanism, data, requireTwoCopies }, connection) {
      const key = hsm.keys.usable(admitCaller('encrypt', hsm, connection), handle, requireTwoCopies)
      return encrypt(mechanism, { key, data, ...requireCluster(hsm) })
    },

    decrypt({ handle, mechanism, data, requireTwoCopies }, connection) {
      const key = hsm.keys.usable(admitCaller('decrypt', hsm, connection), handle, requireTwoCopies)
      return { plaintext: decrypt(mechanism, { key, data, ...requireCluster(hsm) }) }
    },

    digest({ hash, data }, connection) {
      admitCaller('digest', hsm, connection)
      requireAllowed(hash, 'digest', requireCluster(hsm))
      return { digest: createHash(hash).update(data).digest() }
    },

    random({ length }, connection) {
      admitCaller('random', hsm, connection)
      return { bytes: random(length) }
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}
