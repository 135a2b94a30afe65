/** What the audit log of one HSM says of changes that another one made. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import type { AuditEvent } from '../audit/event.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { hashPassword } from '../vault/passwords.ts'
import { ToldPeers } from '../vault/testing/told-peers.ts'
import { statementPath } from '../vault/statements.ts'
import { encodeUser, userPath, type UserRecord } from '../vault/user-record.ts'
import { Users } from '../vault/users.ts'
import { systemQuorumClock } from './clock.ts'
import { watchPeerChanges } from './peer-changes.ts'
import { Quorum } from './quorum.ts'
import { approvalsPath, decodeApprovals, takingAlong, withApprovals, type SpentApprovals } from './spent-approvals.ts'
import { QuorumValues } from './values.ts'

const newKey = () => generateKeyPairSync('rsa', { modulusLength: 2048 })
const KEYS = { one: newKey(), two: newKey(), three: newKey() }
type Admin = keyof typeof KEYS
const ADMINS = Object.keys(KEYS) as Admin[]
const password = await hashPassword('not-used-1')

function adminRecord(username: string, key?: KeyObject): UserRecord {
  const publicKey = key?.export({ type: 'spki', format: 'der' })
  return { username, role: 'admin', password, ...(publicKey && { tokenSign: { publicKey, mfa: false, quorum: true } }) }
}

/** An HSM that is asked, and another that hears of it when `arrive` is called. */
async function twoHsms() {
  const store = new MemoryStore('hsm-0')
  const there = new MemoryStore('hsm-1')
  const events: AuditEvent[] = []
  const service = { begun: true }
  watchPeerChanges({ store: there, inService: () => service.begun, note: (event) => events.push(event) })

  const replication = new ToldPeers(2)
  const hsmType = () => 'hsm2m.medium'
  await store.write(
    ADMINS.map((name) => ({ path: userPath(name), value: encodeUser(adminRecord(name, KEYS[name].publicKey)) })),
  )
  const users = new Users({ store, replication, hsmType, ownsKeys: () => false, onDeleted: () => undefined })
  const values = new QuorumValues({ store, replication, hsmType, admins: () => users.admins })
  const keyOf = () => assert.fail('no key is asked for')
  const quorum = new Quorum({ hsmId: 'hsm-0', users, keyOf, values, replication, clock: systemQuorumClock })
  const caller = { username: 'one', role: 'admin' } as const
  const session = { caller }

  let sent = 0
  const arrive = async () => {
    await there.apply(store.feedAfter(sent, Infinity))
    sent = store.lastSeq
    return events.splice(0)
  }
  const approved = async (by: readonly Admin[], work: () => Promise<void>) => {
    const record = quorum.generate(session, 'user', undefined)
    const signatures = by.map((username) => ({
      username,
      role: 'admin' as const,
      signature: sign('sha256', record, KEYS[username].privateKey),
    }))
    quorum.approve(session, { approvalData: record, signatures })
    await quorum.claim(session, [{ service: 'user' }])?.spendOn(work)
  }
  const create = (username: string) => () => users.create({ username, role: 'crypto-user', password: 'a-secret-1' })
  await values.set('user', 2)
  assert.deepEqual(await arrive(), [], 'while there was no quorum nothing needed approvals')
  return { store, there, replication, users, values, quorum, service, caller, arrive, approved, create }
}

const said = (events: readonly AuditEvent[]) =>
  events.map(({ refusal, details }) => {
    assert.ok(details?.kind === 'peer-change')
    return [details.record, refusal?.code ?? 'verified', details.approvers.join(), details.reason ?? '']
  })

test('a change with approvals is said to have them, and by whom, on the other HSM too', async () => {
  const { arrive, approved, create, users } = await twoHsms()
  await approved(['one', 'two'], create('bob'))
  const [event] = await arrive()
  assert.ok(event)
  assert.deepEqual([event.opcode, event.by], ['SR_PEER_CHANGE', 'one'])
  assert.deepEqual(said([event]), [['users/bob', 'verified', 'one,two', '']])
  // Who approves to go counts: the key was good when it was used.
  await approved(['one', 'two'], () => users.delete({ username: 'two', role: 'admin' }))
  assert.deepEqual(said(await arrive()), [['users/two', 'verified', 'one,two', '']])
})

test('a change that nobody approved is told of, and stands: all HSMs stay the same', async () => {
  const { store, there, arrive } = await twoHsms()
  await store.write([{ path: userPath('eve'), value: encodeUser(adminRecord('eve')) }])
  await store.write([{ path: userPath('three'), value: undefined }])
  assert.deepEqual(said(await arrive()), [
    ['users/eve', 'QuorumRequired', '', 'the service user asks for 2 approvals, and none came with the change'],
    ['users/three', 'QuorumRequired', '', 'the service user asks for 2 approvals, and none came with the change'],
  ])
  const standing = (at: MemoryStore) => [at.get('users/eve')?.version, at.get('users/three')?.version]
  assert.deepEqual(standing(there), standing(store))
})

test('users change their own passwords and keys without approvals, and nothing is said of it', async () => {
  const { arrive, users, caller } = await twoHsms()
  await users.changePassword(caller, { ...caller, password: 'new-secret-1' })
  await users.registerApprovalKey(caller, KEYS.three.publicKey.export({ type: 'spki', format: 'der' }))
  assert.deepEqual(await arrive(), [])
})

test('a change that was undone comes with the approvals that it had', async () => {
  const { arrive, approved, create, replication, users } = await twoHsms()
  await approved(['one', 'two'], create('bob'))
  await arrive()
  replication.holding = 1
  await assert.rejects(
    approved(['two', 'three'], () => users.delete({ username: 'bob', role: 'crypto-user' })),
    { code: 'NotEnoughCopies' },
  )
  assert.deepEqual(said(await arrive()), [['users/bob', 'verified', 'two,three', '']])
})

/** Written by an HSM that does not keep to the rules. */
async function forged(change: (spent: SpentApprovals) => SpentApprovals, username = 'eve') {
  const all = await twoHsms()
  await all.approved(['one', 'two'], all.create('bob'))
  await all.arrive()
  const kept = all.store.get(approvalsPath(statementPath(all.store.hsmId, 'users/bob')))?.value
  const spent = kept && decodeApprovals(kept)
  assert.ok(spent)
  const write = { path: userPath(username), value: encodeUser(adminRecord(username)) }
  await takingAlong(change(spent), () => all.store.write(withApprovals([write])))
  return said(await all.arrive())
}

const tokenFor = (quorum: Quorum, service: 'user' | 'quorum') =>
  quorum.generate({ caller: { username: 'one', role: 'admin' } }, service, undefined)
const signedBy = (approvalData: Uint8Array, ...by: [Admin, KeyObject][]): SpentApprovals => ({
  approvalData,
  signatures: by.map(([username, key]) => ({ username, role: 'admin', signature: sign('sha256', approvalData, key) })),
})

test('approvals that were spent on one change do not stand for another', async () => {
  assert.deepEqual(await forged((spent) => spent), [
    ['users/eve', 'QuorumFailed', 'one,two', 'they were spent on another change before'],
  ])
})

test('signatures by keys that this HSM does not know count for nothing', async () => {
  const { quorum } = await twoHsms()
  const data = tokenFor(quorum, 'user')
  const spent = signedBy(data, ['one', KEYS.one.privateKey], ['two', KEYS.three.privateKey])
  assert.deepEqual(await forged(() => spent), [
    ['users/eve', 'QuorumFailed', 'one', '1 of 2 verify with the keys that this HSM knows'],
  ])
})

test('one user who signed twice is one approval', async () => {
  const { quorum } = await twoHsms()
  const data = tokenFor(quorum, 'user')
  const spent = signedBy(data, ['one', KEYS.one.privateKey], ['one', KEYS.one.privateKey])
  assert.match((await forged(() => spent))[0]?.join() ?? '', /QuorumFailed,one,1 of 2/)
})

test('approvals for another service, or given for another HSM, do not stand', async () => {
  const { quorum } = await twoHsms()
  const both: [Admin, KeyObject][] = [
    ['one', KEYS.one.privateKey],
    ['two', KEYS.two.privateKey],
  ]
  const other = signedBy(tokenFor(quorum, 'quorum'), ...both)
  assert.match((await forged(() => other))[0]?.join() ?? '', /QuorumFailed,one,two,they are not for the service user/)
  const data = Buffer.from(tokenFor(quorum, 'user'))
  data.writeUInt32BE(1, 4)
  const elsewhere = signedBy(data, ...both)
  assert.match((await forged(() => elsewhere))[0]?.join() ?? '', /they were given for another HSM/)
})

test('an HSM that was away is not misled by what was set later, one that joins says nothing', async () => {
  const { store, values, quorum, approved, create, arrive, service } = await twoHsms()
  // With a threshold of one again bob comes without approvals; only then is it raised.
  await approved(['one', 'two'], () => values.set('user', 1))
  await create('bob')()
  await values.set('user', 3)
  assert.deepEqual(
    said(await arrive()).filter(([, verdict]) => verdict !== 'verified'),
    [],
  )
  assert.equal(quorum.values.required('user'), 3)
  service.begun = false
  await store.write([{ path: 'mtls/enforcement', value: undefined }])
  await arrive()
  await store.write([{ path: userPath('eve'), value: encodeUser(adminRecord('eve')) }])
  assert.deepEqual(await arrive(), [])
})
