/** What each HSM type holds (data-plane reference §1.3, §3.2). */
import { HSM_TYPES, LIMITS, type HsmType } from '../../../provider-schema/limits.ts'
import { HsmError } from '../protocol/errors.ts'

export interface Capacity {
  readonly users: number
  /** Token and session keys together; each half of a pair counts. */
  readonly keys: number
  /** Of these, how many may be public or private keys. */
  readonly asymmetricKeys: number
}

export const CAPACITY = {
  'hsm1.medium': { users: LIMITS.usersPerCluster['hsm1.medium'], keys: 3_300, asymmetricKeys: 3_300 },
  'hsm2m.medium': { users: LIMITS.usersPerCluster['hsm2m.medium'], keys: 16_666, asymmetricKeys: 3_333 },
} as const satisfies Record<HsmType, Capacity>

/** Capacity of a type; of one not known here, that of the newest known. */
export function capacityOf(hsmType: string): Capacity {
  const type = HSM_TYPES.find((known) => known === hsmType)
  return CAPACITY[type ?? 'hsm2m.medium']
}

/** Throws LimitExceeded when `adding` more keys do not fit. */
export function requireRoomForKeys(
  hsmType: string,
  held: { readonly keys: number; readonly asymmetricKeys: number },
  adding: { readonly keys: number; readonly asymmetricKeys: number },
): void {
  const capacity = capacityOf(hsmType)
  if (held.keys + adding.keys > capacity.keys) {
    throw new HsmError('LimitExceeded', `an HSM of type ${hsmType} holds at most ${capacity.keys} keys`)
  }
  if (held.asymmetricKeys + adding.asymmetricKeys > capacity.asymmetricKeys) {
    throw new HsmError(
      'LimitExceeded',
      `an HSM of type ${hsmType} holds at most ${capacity.asymmetricKeys} asymmetric keys`,
    )
  }
}

/** Throws LimitExceeded when one more user does not fit. */
export function requireRoomForUser(hsmType: string, users: number): void {
  const capacity = capacityOf(hsmType)
  if (users < capacity.users) return
  throw new HsmError('LimitExceeded', `a cluster of type ${hsmType} has at most ${capacity.users} users`)
}
