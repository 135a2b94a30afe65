/** What owners do with keys that exist, and admins with the attribute `trusted`: change, share, unshare, read. */
import { requireSeparateChange, requireTrustworthy } from '../policy/key-separation.ts'
import type { Caller } from '../policy/roles.ts'
import type { AttributeChange, KeyInfo } from '../protocol/attributes.ts'
import { HsmError } from '../protocol/errors.ts'
import { changesOf } from './attribute-changes.ts'
import type { HeldKey } from './held-key.ts'
import type { KeyChange } from './key-changes.ts'
import { requireCryptoUser } from './key-order.ts'
import type { Keys } from './keys.ts'

/** All of the change or none of it. Throws what `changesOf` throws, and PolicyRefused. */
export function setAttributes(keys: Keys, caller: Caller, handle: string, change: AttributeChange): Promise<KeyInfo> {
  return keys.change(caller, handle, (key) => {
    const changes = changesOf(key, change, caller, keys.hsmType)
    const attributes = changes.flatMap((each) => ('name' in each ? [each] : []))
    const names = attributes.map(({ name }) => name)
    const turnedOn = attributes.filter(({ value }) => value === true).map(({ name }) => name)
    requireSeparateChange(keys.separation, key, keys.kinOf(key), names, turnedOn)
    if (turnedOn.includes('trusted')) requireTrustworthy(keys.separation, key)
    return changes
  })
}

/** Shares a key, or no longer. What is so already stays so. Throws PermissionDenied, UserNotFound, InvalidRequest. */
export function setShared(
  keys: Keys,
  caller: Caller,
  { handle, username, shared }: { handle: string; username: string; shared: boolean },
): Promise<KeyInfo> {
  return keys.change(caller, handle, (key): KeyChange[] => {
    requireOwner(key, caller, shared ? 'shares' : 'unshares')
    if (key.class === 'public-key') {
      throw new HsmError('InvalidRequest', 'a public key is not shared: every crypto user may use it')
    }
    if (username === key.owner) throw new HsmError('InvalidRequest', `the key is ${username}'s own`)
    const isShared = key.sharedWith.includes(username)
    if (!isShared) requireCryptoUser(username, keys.isCryptoUser)
    requireQuorumLeft(key, shared, isShared)
    return isShared === shared ? [] : [{ username, shared }]
  })
}

/**
 * The bytes of a secret key: only where nothing about the key says that they are secret. Throws PermissionDenied,
 * KeyFunctionNotPermitted.
 */
export function valueOf(keys: Keys, caller: Caller, handle: string): Uint8Array {
  const key = keys.owned(caller, handle, 'reads')
  const { sensitive, extractable } = key.attributes
  if (key.class !== 'secret-key') {
    throw new HsmError('KeyFunctionNotPermitted', 'only the value of a secret key can be read')
  }
  if (sensitive || !extractable || key.attributes['wrap-with-trusted'] || key.onceTrusted) {
    throw new HsmError(
      'KeyFunctionNotPermitted',
      'the value of a key can be read only if it is not sensitive, is extractable, and was never to be wrapped with ' +
        'trusted keys only nor trusted itself',
    )
  }
  return key.material
}

function requireOwner(key: HeldKey, { username }: Caller, doing: string): void {
  if (key.owner !== username) throw new HsmError('PermissionDenied', `only its owner ${doing} a key`)
}

/** Those who could approve stay as many as a quorum value asks for: with fewer the key could not be used again. */
function requireQuorumLeft(key: HeldKey, shared: boolean, isShared: boolean): void {
  if (shared || !isShared) return
  const needed = Math.max(key.manageQuorum, key.useQuorum)
  if (key.sharedWith.length >= needed || needed === 0) return
  throw new HsmError(
    'InvalidRequest',
    `${needed} users must stay, who can approve: the key's quorum value asks for them`,
  )
}
