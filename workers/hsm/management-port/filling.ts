/**
 * A blank HSM that is being filled, by joining or from a backup, holds records before it has a cluster. A mark says from
 * where, so that after an interruption it is filled from the same place and nothing else is begun.
 */
import { HsmError } from '../protocol/errors.ts'
import type { ManagedHsm } from './managed-hsm.ts'

const FILLING = 'cluster/filling'

/** Throws WrongState when the HSM is being filled. */
export function requireEmpty({ store }: Pick<ManagedHsm, 'store'>): void {
  const from = fillingFrom(store)
  if (from !== undefined) throw new HsmError('WrongState', `this HSM is being filled from ${from}`)
}

/** Marks the HSM as being filled from somewhere. Throws WrongState when it already is from elsewhere. */
export async function beginFilling({ store }: Pick<ManagedHsm, 'store'>, from: string): Promise<void> {
  if (fillingFrom(store) === from) return
  requireEmpty({ store })
  await store.local.put(FILLING, Buffer.from(from))
}

/** Takes the mark away: the HSM is whole. */
export async function endFilling({ store }: Pick<ManagedHsm, 'store'>): Promise<void> {
  await store.local.put(FILLING, undefined)
}

function fillingFrom(store: ManagedHsm['store']): string | undefined {
  const mark = store.local.get(FILLING)
  return mark && Buffer.from(mark).toString('utf8')
}
