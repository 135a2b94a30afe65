/** How users, keys and HSMs are printed: names, order and spelling of AWS's CLI (data-plane §2.3). */
import { BOOLEAN_ATTRIBUTES, type KeyInfo } from '../../workers/hsm/protocol/attributes.ts'
import { type UserInfo } from '../../workers/hsm/protocol/values.ts'

const KEY_ATTRIBUTE_ORDER = [
  'key-type',
  'label',
  'id',
  'check-value',
  'class',
  ...BOOLEAN_ATTRIBUTES.flatMap((name) => (name === 'private' ? ([name, 'mldsa-algorithm'] as const) : [name])),
  'key-length-bytes',
  'public-exponent',
  'modulus',
  'modulus-size-bits',
  'ec-point',
  'curve',
  'mlkem-algorithm',
] as const

/** Names of the attributes a key may have. */
export const KEY_ATTRIBUTE_NAMES: readonly string[] = KEY_ATTRIBUTE_ORDER

const HSM_FIELD_ORDER = [
  'vendor',
  'model',
  'serial-number',
  'hardware-version-major',
  'hardware-version-minor',
  'firmware-version-major',
  'firmware-version-minor',
  'firmware-build-number',
  'firmware-id',
  'fips-state',
] as const

export function presentKey({ handle, owner, sharedWith, coverage, manageQuorum, useQuorum, attributes }: KeyInfo) {
  return {
    'key-reference': handle,
    'key-info': {
      'key-owners': [{ username: owner, 'key-coverage': coverage }],
      'shared-users': sharedWith.map((username) => ({ username, 'key-coverage': coverage })),
      'key-quorum-values': { 'manage-key-quorum-value': manageQuorum, 'use-key-quorum-value': useQuorum },
      'cluster-coverage': coverage,
    },
    attributes: Object.fromEntries(
      KEY_ATTRIBUTE_ORDER.flatMap((name) => (attributes[name] === undefined ? [] : [[name, attributes[name]]])),
    ),
  }
}

/** A key in a list that is not verbose. */
export function presentKeyBriefly({ handle, attributes }: KeyInfo) {
  return { 'key-reference': handle, attributes: { label: attributes.label } }
}

export function presentHsm(info: Readonly<Record<string, string>>) {
  return Object.fromEntries(HSM_FIELD_ORDER.flatMap((name) => (info[name] === undefined ? [] : [[name, info[name]]])))
}

type Strategies = readonly { readonly strategy: 'token-sign'; readonly status: 'enabled' }[] | 'inconsistent'

interface PresentedUser {
  username: string
  role: string
  locked: string
  mfa: Strategies
  quorum: Strategies
  'cluster-coverage': string
}

/**
 * One list from those of several HSMs. What they say differently of a user reads `inconsistent`; a user that some of
 * them do not have is covered `partial`.
 */
export function presentUsers(lists: readonly (readonly UserInfo[])[]): PresentedUser[] {
  const users = new Map<string, { user: PresentedUser; seen: number }>()
  for (const { username, role, locked, mfa, quorum, coverage } of lists.flat()) {
    const said = {
      username,
      role,
      locked: String(locked),
      mfa: strategies(mfa),
      quorum: strategies(quorum),
      'cluster-coverage': coverage,
    }
    const known = users.get(username)
    if (!known) users.set(username, { user: said, seen: 1 })
    else {
      known.seen++
      for (const field of ['role', 'locked', 'cluster-coverage'] as const) {
        if (known.user[field] !== said[field]) known.user[field] = 'inconsistent'
      }
      for (const field of ['mfa', 'quorum'] as const) {
        if (known.user[field].length !== said[field].length) known.user[field] = 'inconsistent'
      }
    }
  }
  return [...users.values()].map(({ user, seen }) =>
    seen < lists.length ? { ...user, 'cluster-coverage': 'partial' } : user,
  )
}

const strategies = (registered: boolean): Strategies =>
  registered ? [{ strategy: 'token-sign', status: 'enabled' }] : []

/** Every answer of the tools, success or failure (data-plane §2.1). */
export function presentAnswer(errorCode: 0 | 1, data: unknown): string {
  return `${JSON.stringify({ error_code: errorCode, data }, null, 2)}\n`
}
