/** What one HSM takes over of changes that another one made, what it refuses, and what its audit log says of both. */
import assert from 'node:assert/strict'
import { sign } from 'node:crypto'
import { test } from 'node:test'
import type { AuditEvent } from '../audit/event.ts'
import { encodeLevel } from '../mtls/mtls-record.ts'
import type { Source } from '../replication/admission.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { recordsOf } from '../vault/contested-records.ts'
import { changePath, encodeChange, type KeyChange } from '../vault/key-changes.ts'
import { statementPath } from '../vault/statements.ts'
import { challengeHead } from '../vault/token-sign.ts'
import { hashPassword } from '../vault/passwords.ts'
import { encodeUser, userPath } from '../vault/user-record.ts'
import { PeerChanges } from './peer-changes.ts'
import { approvalsPath, takingAlong, withApprovals, type Registration, type SpentApprovals } from './spent-approvals.ts'
import {
  founding,
  HANDLE,
  KEYS,
  signedBy,
  spkiOf,
  tokenOf,
  userChange,
  userRecord,
  type Signer,
  type TokenOf,
} from './testing/quorum-cluster.ts'
import { encodeValue, valuePath } from './value-record.ts'

const NOW = 1_800_000_000
const CURRENT = ['key-management', 'registration']

type Change = { readonly path: string; readonly value: Uint8Array | undefined }

/** An HSM that was asked, `hsm-0`, and another that hears of it. */
async function twoHsms() {
  const store = new MemoryStore('hsm-0')
  const there = new MemoryStore('hsm-1')
  const events: AuditEvent[] = []
  const state = { inService: true, unixSeconds: NOW }
  const admission = new PeerChanges({
    hsmId: 'hsm-1',
    store: there,
    members: () => ['hsm-0', 'hsm-1', 'hsm-2'],
    inService: () => state.inService,
    note: (event) => events.push(event),
    clock: { unixSeconds: () => state.unixSeconds },
  })
  await there.apply(await store.write(founding()))

  let sent = store.lastSeq
  /** What was written since, or what is asked for, as it comes over a link. */
  const arrive = async ({
    from = 'hsm-0',
    current = true,
    carries = CURRENT,
    pushed = true,
    records = store.feedAfter(sent, Infinity),
  } = {}) => {
    sent = store.lastSeq
    const source: Source = {
      hsmId: from,
      current,
      carries,
      fetch: (paths) => Promise.resolve(paths.flatMap((path) => store.get(path) ?? [])),
    }
    const { refused } = await admission.take(records, source, pushed)
    return { refused: [...refused.values()], said: said(events.splice(0)) }
  }
  const write = (asked: readonly Change[], signed?: SpentApprovals | Registration) => {
    const changes = recordsOf(store).stating(asked)
    const before = changes.map(({ path }) => ({ path, value: store.get(path)?.value }))
    const put = (put: readonly Change[]) => store.write(withApprovals(put, before))
    return {
      done: signed ? takingAlong(signed, () => put(changes)) : put(changes),
      undo: () => (signed ? takingAlong(signed, () => put(before)) : put(before)),
    }
  }
  const holds = (path: string) => recordsOf(there).get(path)?.value
  const same = (path: string) => assert.deepEqual(holds(path), recordsOf(store).get(path)?.value)
  return { store, there, holds, state, admission, arrive, write, same }
}

const said = (events: readonly AuditEvent[]) =>
  events.map(({ opcode, refusal, details }) => {
    assert.equal(opcode, 'SR_PEER_CHANGE')
    assert.ok(details?.kind === 'peer-change')
    return [details.record, refusal?.code ?? 'taken', details.approvers.join(), details.reason ?? '']
  })

const token = (of: Partial<TokenOf> = {}) =>
  tokenOf({
    service: 'user',
    by: 'one',
    parts: ['hsm-0', 'hsm-1'].map((hsmId) => ({ hsmId, unixSeconds: NOW - 5 })),
    ...of,
  })
const bob = userChange('bob', 'crypto-user')
const eve = userChange('eve', 'admin')

test('a change that enough admins approved is taken over, and the log says who they were', async () => {
  const { arrive, write, same } = await twoHsms()
  await write([bob], signedBy(token(), 'one', 'two')).done
  assert.deepEqual(await arrive(), { refused: [], said: [['users/bob', 'taken', 'one,two', '']] })
  same('users/bob')
  // Who approves to go counts: the key was good when it was used.
  await write([{ path: userPath('two'), value: undefined }], signedBy(token(), 'one', 'two')).done
  assert.deepEqual((await arrive()).said, [['users/two', 'taken', 'one,two', '']])
  same('users/two')
})

const stranger = ['three', KEYS.cat.privateKey] as [Signer, (typeof KEYS)['cat']['privateKey']]
const old = (hsmId: string, unixSeconds: number) => ({ hsmId, unixSeconds })
const BAD: readonly (readonly [what: string, signed: SpentApprovals | undefined, code: string, why: RegExp])[] = [
  ['no approval', undefined, 'QuorumRequired', /the service user asks for 2 approvals, and none came/],
  ['an approval of too few', signedBy(token(), 'one'), 'QuorumFailed', /1 of 2 verify/],
  ['one admin who signed twice', signedBy(token(), 'one', 'one'), 'QuorumFailed', /1 of 2 verify/],
  ['the signature of a stranger', signedBy(token(), 'one', stranger), 'QuorumFailed', /1 of 2 verify/],
  ['the signature of a crypto user', signedBy(token(), 'one', 'ann'), 'QuorumFailed', /1 of 2 verify/],
  [
    'approvals for another service',
    signedBy(token({ service: 'quorum' }), 'one', 'two'),
    'QuorumFailed',
    /not for the service user/,
  ],
  [
    'approvals that were given for another HSM',
    signedBy(token({ parts: [old('hsm-9', NOW), old('hsm-1', NOW)] }), 'one', 'two'),
    'QuorumFailed',
    /given for another HSM/,
  ],
  [
    'an expired one, by this HSM’s own part of the token',
    signedBy(token({ parts: [old('hsm-0', NOW), old('hsm-1', NOW - 620)] }), 'one', 'two'),
    'QuorumFailed',
    /has expired/,
  ],
  [
    'an expired one in which this HSM has no part',
    signedBy(token({ parts: [old('hsm-0', NOW - 1000)] }), 'one', 'two'),
    'QuorumFailed',
    /has expired/,
  ],
]
for (const [what, signed, code, why] of BAD) {
  test(`a change that was just made with ${what} is refused and written down, pushed or pulled`, async () => {
    for (const pushed of [true, false]) {
      for (const change of [eve, { path: userPath('three'), value: undefined }]) {
        const { store, there, holds, arrive, write } = await twoHsms()
        const standing = holds(change.path)
        await write([change], signed).done
        const { refused, said } = await arrive({ pushed })
        assert.deepEqual([refused[0]?.code, said.length, said[0]?.[1]], [code, 1, code])
        assert.match(refused[0]?.message ?? '', why)
        assert.match(said[0]?.[3] ?? '', why)
        assert.deepEqual(holds(change.path), standing)
        // Nothing of it is kept, and it is refused again without another line in the log.
        assert.equal(there.get(approvalsPath(statementPath('hsm-0', change.path))), undefined)
        const again = await arrive({ pushed: false, records: store.feedAfter(0, Infinity) })
        assert.deepEqual([again.refused.length, again.said], [1, []])
        assert.deepEqual(holds(change.path), standing)
      }
    }
  })
}

test('a token in whose making this HSM had no part may be from a clock that is some minutes off', async () => {
  const { arrive, write } = await twoHsms()
  await write([bob], signedBy(token({ parts: [old('hsm-0', NOW - 800)] }), 'one', 'two')).done
  assert.deepEqual((await arrive()).refused, [])
})

test('a token that was spent is refused on another record, also after its first record changed again', async () => {
  const { holds, arrive, write } = await twoHsms()
  const spent = signedBy(token(), 'one', 'two')
  await write([bob], spent).done
  await arrive()
  await write([{ path: bob.path, value: undefined }], signedBy(token(), 'one', 'two')).done
  await arrive()
  await write([eve], spent).done
  const { refused } = await arrive()
  assert.match(refused[0]?.message ?? '', /spent on another change before/)
  assert.equal(holds(eve.path), undefined)
})

test('a token that was spent is refused on the same record, unless it puts back what stood before', async () => {
  const { holds, arrive, write, same } = await twoHsms()
  const spent = signedBy(token(), 'one', 'two')
  const making = write([bob], spent)
  await making.done
  await arrive()
  await write([{ path: bob.path, value: undefined }], spent).done
  await write([userChange('bob', 'admin')], spent).done
  assert.match((await arrive()).refused[0]?.message ?? '', /spent on another change before/)
  await making.undo()
  assert.deepEqual((await arrive()).refused, [])
  assert.equal(holds('users/bob'), undefined)
  same('users/bob')
})

test('two changes that come together with one token are one too many', async () => {
  const { holds, arrive, write } = await twoHsms()
  const spent = signedBy(token(), 'one', 'two')
  await Promise.all([write([bob], spent).done, write([eve], spent).done])
  const { refused } = await arrive({ pushed: false })
  assert.equal(refused.length, 1)
  assert.deepEqual([holds(bob.path) !== undefined, holds(eve.path)], [true, undefined])
})

test('the undoing of a change that was refused is taken over, with nothing to be said', async () => {
  const { arrive, write, same } = await twoHsms()
  const making = write([eve])
  await making.done
  assert.equal((await arrive()).refused.length, 1)
  await making.undo()
  assert.deepEqual(await arrive(), { refused: [], said: [] })
  same(eve.path)
})

test('other records of a batch with a refused change are taken over all the same', async () => {
  const { store, holds, arrive, write } = await twoHsms()
  await store.write([{ path: 'other/1', value: Buffer.from('1') }])
  await write([eve]).done
  await store.write([{ path: 'other/2', value: Buffer.from('2') }])
  const { refused } = await arrive({ pushed: false })
  assert.equal(refused.length, 1)
  assert.deepEqual(
    ['other/1', 'other/2', eve.path].map((path) => holds(path) !== undefined),
    [true, true, false],
  )
})

test('after an interruption, and from an HSM that did not make it, a change is settled: taken over and written down', async () => {
  for (const how of [{ current: false, pushed: false }, { from: 'hsm-2' }]) {
    const { arrive, write, same } = await twoHsms()
    await write([eve]).done
    const { refused, said } = await arrive(how)
    assert.deepEqual(refused, [])
    assert.match(said[0]?.join() ?? '', /^users\/eve,taken,,taken over as settled, though the service user asks for 2/)
    same(eve.path)
  }
})

test('what was refused comes from another HSM that took it, and from its maker after an interruption it does not', async () => {
  const { store, holds, arrive, write, same } = await twoHsms()
  await write([eve]).done
  await arrive()
  const records = store.feedAfter(0, Infinity)
  assert.equal((await arrive({ current: false, pushed: false, records })).refused.length, 1)
  assert.equal(holds(eve.path), undefined)
  assert.deepEqual((await arrive({ from: 'hsm-2', pushed: false, records })).refused, [])
  same(eve.path)
})

test('an HSM that is behind says so where it cannot tell yet; what it can tell it takes', async () => {
  const { holds, arrive, write, same } = await twoHsms()
  await write([eve]).done
  await assert.rejects(arrive({ current: false }), { code: 'Busy', message: /behind/ })
  assert.equal(holds(eve.path), undefined)
  await write([bob], signedBy(token(), 'one', 'two')).done
  assert.deepEqual((await arrive({ current: false })).refused, [])
  same('users/bob')
})

test('an HSM that lacks a user’s key asks for it before it judges', async () => {
  const { store, arrive, write, same } = await twoHsms()
  // The other HSM has them from a third one, which this one has not heard of.
  const key = KEYS.cat
  const proof = proofOf(
    Buffer.concat([challengeHead('hsm-2', { username: 'three', role: 'admin' }), Buffer.alloc(32)]),
    'cat',
  )
  const third = new MemoryStore('hsm-2')
  await third.apply(store.feedAfter(0, Infinity))
  const stated = recordsOf(third).stating([userChange('three', 'admin', spkiOf('cat'))])
  const made = takingAlong(proof, () => withApprovals(stated))
  await store.apply(
    made.map(({ path, value = Buffer.alloc(0) }, i) => ({ path, value, version: { counter: 40 + i, hsmId: 'hsm-2' } })),
  )
  const sent = store.lastSeq
  await write([bob], signedBy(token(), 'one', ['three', key.privateKey])).done
  const records = store.feedAfter(sent, Infinity)
  assert.deepEqual(await arrive({ records }), {
    refused: [],
    said: [
      ['users/three', 'taken', 'three', ''],
      ['users/bob', 'taken', 'one,three', ''],
    ],
  })
  same('users/bob')
  same('users/three')
})

test('an HSM does not learn of a user who was never approved by asking for the signers', async () => {
  const { store, holds, arrive, write } = await twoHsms()
  await write([userChange('mallory', 'admin', spkiOf('cat'))]).done
  const sent = store.lastSeq
  const data = token()
  const signatures = [
    ...signedBy(data, 'one').signatures,
    { username: 'mallory', role: 'admin', signature: sign('sha256', data, KEYS.cat.privateKey) } as const,
  ]
  await write([bob], { approvalData: data, signatures }).done
  const { refused } = await arrive({ records: store.feedAfter(sent, Infinity) })
  assert.deepEqual(refused.map(({ message }) => /users\/(\w+)/.exec(message)?.[1]).sort(), ['bob', 'mallory'])
  assert.deepEqual([holds('users/bob'), holds('users/mallory')], [undefined, undefined])
})

test('users change their own passwords alone, and become nobody else by it', async () => {
  const { arrive, write, same } = await twoHsms()
  const password = await hashPassword('another-1')
  for (const [name, role] of [
    ['one', 'admin'],
    ['ann', 'crypto-user'],
  ] as const) {
    const value = encodeUser({ ...userRecord(name, role, spkiOf(name)), password })
    await write([{ path: userPath(name), value }]).done
    assert.deepEqual(await arrive(), { refused: [], said: [] })
    same(userPath(name))
  }
  // Somebody else under the name: the record comes once, after both changes.
  await write([{ path: userPath('ann'), value: undefined }]).done
  await write([userChange('ann', 'admin', spkiOf('ann'))]).done
  assert.match((await arrive()).refused[0]?.message ?? '', /asks for 2 approvals/)
})

test('a record that changed twice may come with the approvals of the first change', async () => {
  const { arrive, write, same } = await twoHsms()
  await write([bob], signedBy(token(), 'one', 'two')).done
  await write([userChange('bob', 'crypto-user')]).done
  assert.deepEqual((await arrive()).refused, [])
  same('users/bob')
  // They do not stand for what comes after what is here already.
  await write([{ path: bob.path, value: undefined }]).done
  assert.equal((await arrive()).refused[0]?.code, 'QuorumRequired')
})

test('a threshold asks for approvals of its own service, and of mTLS those of the service cluster', async () => {
  const { arrive, write, holds } = await twoHsms()
  const set = (service: 'quorum' | 'cluster', value: number) => ({
    path: valuePath(service),
    value: encodeValue(value),
  })
  await write([set('cluster', 2)]).done
  await write([set('quorum', 2)]).done
  assert.deepEqual((await arrive()).refused, [])
  await write([set('quorum', 1)]).done
  await write([{ path: 'mtls/enforcement', value: encodeLevel('cluster') }], signedBy(token(), 'one', 'two')).done
  assert.deepEqual(
    (await arrive()).refused.map(({ code }) => code),
    ['QuorumRequired', 'QuorumFailed'],
  )
  assert.equal(holds('mtls/enforcement'), undefined)
  await write([set('quorum', 1)], signedBy(token({ service: 'quorum' }), 'two', 'three')).done
  await write(
    [{ path: 'mtls/enforcement', value: encodeLevel('cluster') }],
    signedBy(token({ service: 'cluster' }), 'one', 'two'),
  ).done
  assert.deepEqual((await arrive()).refused, [])
})

const ofKey = (of: Partial<TokenOf> = {}) => token({ service: 'key-management', by: 'ann', handle: HANDLE, ...of })
const share = (username: string, shared = true) => {
  const change = { username, shared }
  return { path: changePath(HANDLE, change), value: encodeChange(change) }
}
const changeOf = (change: KeyChange) => ({ path: changePath(HANDLE, change), value: encodeChange(change) })
const label = (value: string) => changeOf({ name: 'label', value })

test('a change of a key comes with the approvals of those who have a say in it, all records of one operation with one', async () => {
  const { arrive, write, same } = await twoHsms()
  const both = [label('new'), changeOf({ name: 'id', value: '0x01' })]
  await write(both, signedBy(ofKey(), 'ann', 'ben')).done
  const { refused, said } = await arrive()
  assert.deepEqual([refused, said.map(([, verdict, by]) => [verdict, by])], [[], Array(2).fill(['taken', 'ann,ben'])])
  for (const { path } of both) same(path)
  // Whoever it is shared with now has a say from now on, and who has none any more approved that himself.
  await write([share('cat')], signedBy(ofKey(), 'ann', 'ben')).done
  await write([share('ben', false)], signedBy(ofKey(), 'ben', 'cat')).done
  assert.deepEqual((await arrive()).refused, [])
})

const handle = '0x00000000000000bb'
for (const [what, signed] of [
  ['no approval', undefined],
  ['one of too few', signedBy(ofKey(), 'ann')],
  ['one of somebody without a say', signedBy(ofKey(), 'ann', 'cat')],
  ['one of an admin', signedBy(ofKey(), 'ann', 'one')],
  ['one for another key', signedBy(ofKey({ handle }), 'ann', 'ben')],
  ['one for using the key', signedBy(ofKey({ service: 'key-usage' }), 'ann', 'ben')],
  ['an expired one', signedBy(ofKey({ parts: [old('hsm-0', NOW - 1000)] }), 'ann', 'ben')],
] as const) {
  test(`a sharing that comes with ${what} is refused`, async () => {
    const { holds, arrive, write } = await twoHsms()
    await write([share('cat')], signed).done
    const { refused, said } = await arrive()
    assert.equal(refused[0]?.code, signed ? 'QuorumFailed' : 'QuorumRequired')
    assert.equal(said.length, 1)
    assert.equal(holds(share('cat').path), undefined)
  })
}

test('approvals of a key are spent once, on a later change of it as well', async () => {
  const { arrive, write } = await twoHsms()
  const spent = signedBy(ofKey(), 'ann', 'ben')
  await write([label('new')], spent).done
  assert.deepEqual((await arrive()).refused, [])
  await write([label('newer')], spent).done
  await write([share('cat')], spent).done
  assert.deepEqual(
    (await arrive()).refused.map(({ message }) => /spent/.test(message)),
    [true, true],
  )
})

test('deleting a key, and a user with whom one is shared, needs no approvals of keys', async () => {
  const { arrive, write, there } = await twoHsms()
  await write([{ path: userPath('ben'), value: undefined }], signedBy(token(), 'one', 'two')).done
  await write([share('ben', false)]).done
  assert.deepEqual((await arrive()).refused, [])
  await write([label('new')], signedBy(ofKey(), 'ann', 'ben')).done
  await arrive()
  const kept = statementPath('hsm-0', label('').path)
  const gone = [approvalsPath(kept), kept, `keys/${HANDLE}`]
  await write(gone.map((path) => ({ path, value: undefined }))).done
  assert.deepEqual((await arrive()).refused, [])
  for (const path of gone) assert.equal(there.get(path)?.value, undefined)
})

test('HSMs of before send no approvals of keys and no proofs: nothing is asked of them', async () => {
  const { arrive, write, same } = await twoHsms()
  await write([share('cat')]).done
  await write([userChange('ann', 'crypto-user', spkiOf('cat'))]).done
  assert.deepEqual(await arrive({ carries: [] }), { refused: [], said: [] })
  same(share('cat').path)
})

const proofOf = (preimage: Buffer, by: Signer): Registration => ({
  registration: { preimage, signature: sign('sha256', preimage, KEYS[by].privateKey) },
})
const ann = { username: 'ann', role: 'crypto-user' } as const
const parts = [{ hsmId: 'hsm-0', unixSeconds: NOW }]

test('a key for approvals is registered with a signature by it over a token of the user, and can be taken back', async () => {
  const { arrive, write, same } = await twoHsms()
  const record = tokenOf({ service: 'registration', by: 'ann', parts })
  for (const preimage of [record, Buffer.concat([challengeHead('hsm-0', ann), Buffer.alloc(32)])]) {
    const registering = write([userChange('ann', 'crypto-user', spkiOf('cat'))], proofOf(preimage, 'cat'))
    await registering.done
    assert.deepEqual(await arrive(), { refused: [], said: [['users/ann', 'taken', 'ann', '']] })
    await registering.undo()
    assert.deepEqual((await arrive()).refused, [])
    same('users/ann')
  }
})

for (const [what, proof] of [
  ['no signature', undefined],
  ['a signature by another key', proofOf(tokenOf({ service: 'registration', by: 'ann', parts }), 'ben')],
  ['a token of another user', proofOf(tokenOf({ service: 'registration', by: 'ben', parts }), 'cat')],
  ['a token for something else', proofOf(tokenOf({ service: 'user', by: 'ann', parts }), 'cat')],
  ['a token of another HSM', proofOf(Buffer.concat([challengeHead('hsm-7', ann), Buffer.alloc(32)]), 'cat')],
] as const) {
  test(`a key for approvals that comes with ${what} is refused`, async () => {
    const { holds, arrive, write } = await twoHsms()
    const standing = holds('users/ann')
    await write([userChange('ann', 'crypto-user', spkiOf('cat'))], proof).done
    const { refused, said } = await arrive()
    assert.match(refused[0]?.message ?? '', /registered for ann without a signature by it/)
    assert.equal(said.length, 1)
    assert.deepEqual(holds('users/ann'), standing)
  })
}

test('an HSM that joins takes what it is given, and says nothing of it', async () => {
  const { arrive, write, same, state } = await twoHsms()
  state.inService = false
  await write([eve]).done
  assert.deepEqual(await arrive({ pushed: false }), { refused: [], said: [] })
  same(eve.path)
})
