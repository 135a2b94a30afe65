/** Approvals in one HSM, with users, a clock and members that do as they are told. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Caller } from '../policy/roles.ts'
import type { Approval } from '../protocol/client/quorum.ts'
import { HsmError } from '../protocol/errors.ts'
import { hsmNumber, recordsIn, tokenOf } from '../protocol/quorum.ts'
import type { Member } from '../protocol/values.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import type { KeyInQuorum } from './key-quorum.ts'
import { Quorum, type Need } from './quorum.ts'
import { opensslSigner } from './testing/signer.ts'
import { MAX_KEY_TOKENS_OF_USER, MAX_TOKENS, type LoginSession } from './token-store.ts'
import { QuorumValues } from './values.ts'

const ONE = opensslSigner()
const TWO = opensslSigner()
const STRANGER = opensslSigner()
after(() => {
  for (const signer of [ONE, TWO, STRANGER]) signer[Symbol.dispose]()
})

const HANDLE = '0x00000000000000aa'
const admin = (username: string): Caller => ({ username, role: 'admin' })
const user = (username: string): Caller => ({ username, role: 'crypto-user' })

function hsm({ hsmId = 'hsm-0', hsmType = 'hsm2m.medium', admins = 3 } = {}) {
  const clock = { ms: 0, monotonicMs: () => clock.ms, unixSeconds: () => 1_700_000_000 }
  const approvalKeys = new Map<string, Uint8Array>([
    ['admin/one', ONE.spki],
    ['admin/two', TWO.spki],
    ['crypto-user/alice', ONE.spki],
    ['crypto-user/bob', TWO.spki],
    ['crypto-user/eve', STRANGER.spki],
  ])
  const key: KeyInQuorum & { readonly sharedWith: string[] } = {
    owner: 'alice',
    sharedWith: ['bob'],
    useQuorum: 2,
    manageQuorum: 0,
  }
  let members: Member[] = [{ hsmId, address: '', eniIp: '' }]
  let tell: (members: readonly Member[]) => void = () => undefined
  const replication = {
    members: () => members,
    onMembersChanged: (listener: typeof tell) => void (tell = listener),
    spread: () => Promise.resolve(1),
    catchUp: () => Promise.resolve(1),
    refusalOf: () => undefined,
    copies: () => 1,
    writesLimited: false,
  }
  const store = new MemoryStore(hsmId)
  const values = new QuorumValues({ store, replication, hsmType: () => hsmType, admins: () => admins })
  const quorum = new Quorum({
    hsmId,
    users: { approvalKeyOf: ({ username, role }) => approvalKeys.get(`${role}/${username}`) },
    keyOf: (caller, handle) => {
      const sees = caller.role === 'admin' || key.owner === caller.username || key.sharedWith.includes(caller.username)
      if (handle === HANDLE && sees) return key
      throw new HsmError('KeyNotFound', `there is no key ${handle}`)
    },
    values,
    replication,
    clock,
  })
  const setMembers = (ids: readonly string[]) => {
    members = ids.map((id) => ({ hsmId: id, address: '', eniIp: '' }))
    tell(members)
  }
  return { quorum, values, clock, approvalKeys, key, setMembers }
}

const login = (caller: Caller): { caller: Caller | undefined } => ({ caller: { ...caller } })

const signedBy = (approvalData: Uint8Array, ...signers: ('one' | 'two')[]): Approval[] =>
  signers.map((username) => ({
    username,
    role: 'admin',
    signature: (username === 'one' ? ONE : TWO).sign(tokenOf(approvalData)),
  }))

const USER: Need[] = [{ service: 'user' }]

/** An HSM where the service user needs two approvals, and a login of the admin `one`. */
async function twoOfThree() {
  const all = hsm()
  await all.values.set('user', 2)
  const session = login(admin('one'))
  const approve = (approvalData: Uint8Array, signatures: readonly Approval[], by: LoginSession = session) =>
    all.quorum.approve(by, { approvalData, signatures })
  return { ...all, session, approve, generate: () => all.quorum.generate(session, 'user', undefined) }
}

test('with a threshold of one an operation needs no token', () => {
  const { quorum } = hsm()
  assert.equal(quorum.claim(login(admin('one')), USER), undefined)
})

test('without a token, with one approval, and with one user who signs twice, the operation is refused', async () => {
  const { quorum, session, generate, approve } = await twoOfThree()
  const required = { code: 'QuorumRequired', message: 'Quorum approval is required for this operation' }
  assert.throws(() => quorum.claim(session, USER), required)
  const record = generate()
  assert.throws(() => quorum.claim(session, USER), required)
  assert.equal(approve(record, signedBy(record, 'one')).approvals, 1)
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumFailed', message: /^Quorum Failed: 1 of 2/ })
  assert.equal(approve(record, signedBy(record, 'one', 'one')).approvals, 1)
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumFailed' })
})

test('two approvals, the requester’s own among them, let one operation through and no second', async () => {
  const { quorum, session, generate, approve } = await twoOfThree()
  const record = generate()
  const signatures = signedBy(record, 'one', 'two')
  assert.deepEqual(approve(record, signatures), { approvals: 2, spendable: true })
  assert.equal(await quorum.claim(session, USER)?.spendOn(() => 'done'), 'done')
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumRequired' })
  assert.throws(() => approve(record, signatures), { code: 'QuorumFailed', message: /expired, was spent/ })
})

test('an operation that fails leaves its token, one that is under way keeps it from others', async () => {
  const { quorum, session, generate, approve } = await twoOfThree()
  const record = generate()
  approve(record, signedBy(record, 'one', 'two'))
  const gate = Promise.withResolvers<undefined>()
  const first = quorum.claim(session, USER)?.spendOn(() => gate.promise)
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumRequired' })
  gate.reject(new Error('no room'))
  await assert.rejects(first ?? Promise.resolve(), /no room/)
  assert.ok(quorum.claim(session, USER))
})

test('signatures by another key, of another token, of a user without a key or without a say are refused', async () => {
  const { generate, approve, approvalKeys } = await twoOfThree()
  const other = generate()
  const record = generate()
  const good = signedBy(record, 'one', 'two')
  const [one] = good
  assert.ok(one)
  const refused = (signature: Approval, why: RegExp) =>
    assert.throws(() => approve(record, [...good.slice(1), signature]), { code: 'QuorumFailed', message: why })
  refused({ ...one, signature: STRANGER.sign(tokenOf(record)) }, /signature of one does not verify/)
  refused({ ...one, signature: ONE.sign(tokenOf(other)) }, /signature of one does not verify/)
  refused({ ...one, username: 'two', signature: one.signature }, /signature of two does not verify/)
  refused({ ...one, username: 'nobody' }, /nobody has no key/)
  refused({ ...one, username: 'alice', role: 'crypto-user' }, /alice has no say/)
  approvalKeys.delete('admin/one')
  refused(one, /one has no key/)
})

test('an approval counts no more once its user has another key or is gone', async () => {
  const { quorum, session, generate, approve, approvalKeys } = await twoOfThree()
  const record = generate()
  approve(record, signedBy(record, 'one', 'two'))
  approvalKeys.set('admin/two', STRANGER.spki)
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumFailed', message: /1 of 2/ })
  approvalKeys.set('admin/two', TWO.spki)
  assert.ok(quorum.claim(session, USER))
})

test('a token lives for 600 seconds', async () => {
  const { quorum, session, generate, approve, clock } = await twoOfThree()
  const record = generate()
  const signatures = signedBy(record, 'one', 'two')
  approve(record, signatures)
  clock.ms = 599_999
  assert.equal(quorum.list(admin('two'))[0]?.secondsLeft, 1)
  clock.ms = 600_000
  assert.deepEqual(quorum.list(admin('two')), [])
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumRequired' })
  assert.throws(() => approve(record, signatures), { code: 'QuorumFailed' })
})

test('a token belongs to one login: no other of the same user has it, and it ends with that login', async () => {
  const { quorum, session, generate, approve } = await twoOfThree()
  const record = generate()
  const signatures = signedBy(record, 'one', 'two')
  const elsewhere = login(admin('one'))
  assert.throws(() => approve(record, signatures, elsewhere), { code: 'QuorumFailed' })
  approve(record, signatures)
  assert.throws(() => quorum.claim(elsewhere, USER), { code: 'QuorumRequired' })
  session.caller = undefined
  assert.deepEqual(quorum.list(admin('two')), [])
  session.caller = { ...admin('one') }
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumRequired' }, 'a new login on the same connection')
})

test('a token is for one service', async () => {
  const { quorum, session, generate, approve, values } = await twoOfThree()
  await values.set('cluster', 2)
  const record = generate()
  approve(record, signedBy(record, 'one', 'two'))
  assert.throws(() => quorum.claim(session, [{ service: 'cluster' }]), { code: 'QuorumRequired' })
  assert.ok(quorum.claim(session, USER))
})

test('of several HSMs’ records every HSM finds its own, and only the first one’s HSM lets it be spent', async () => {
  const here = await twoOfThree()
  const there = hsm({ hsmId: 'hsm-1' })
  await there.values.set('user', 2)
  const session = login(admin('one'))
  const mine = here.generate()
  const theirs = there.quorum.generate(session, 'user', undefined)
  const approvalData = Buffer.concat([theirs, mine])
  const signatures = signedBy(approvalData, 'one', 'two')
  assert.deepEqual(here.approve(approvalData, signatures), { approvals: 2, spendable: false })
  assert.deepEqual(there.quorum.approve(session, { approvalData, signatures }), { approvals: 2, spendable: true })
  assert.throws(() => here.quorum.claim(here.session, USER), { code: 'QuorumRequired' })
  assert.ok(there.quorum.claim(session, USER))
  // What was signed for both says nothing of this HSM's record alone.
  assert.throws(() => here.approve(mine, signatures), { code: 'QuorumFailed' })
})

test('when members come or go every token is void; the same members announced again change nothing', async () => {
  const { quorum, generate, session, approve, setMembers } = await twoOfThree()
  const record = generate()
  approve(record, signedBy(record, 'one', 'two'))
  setMembers(['hsm-0'])
  assert.equal(quorum.list(admin('one')).length, 1)
  setMembers(['hsm-0', 'hsm-1'])
  assert.throws(() => quorum.claim(session, USER), { code: 'QuorumRequired' })
})

test('approval data that is not made of records, or none of this HSM’s, is refused', async () => {
  const { generate, approve } = await twoOfThree()
  const record = generate()
  for (const data of [record.subarray(1), Buffer.concat([record, record]).subarray(40, 120), Buffer.alloc(80 * 65)]) {
    assert.throws(() => approve(data, []), { code: 'QuorumFailed' })
  }
})

test('a record has the published layout', async () => {
  const { generate } = await twoOfThree()
  const [record] = recordsIn(generate()) ?? []
  assert.ok(record)
  assert.equal(record.length, 80)
  assert.deepEqual(
    [record.readUInt16BE(0), record.readUInt16BE(2), record.readUInt32BE(4), record.readBigUInt64BE(8)],
    [1, 3, hsmNumber('hsm-0'), 0n],
  )
  assert.equal(record.toString('latin1', 32, 64), 'one'.padEnd(32, '\0'))
  assert.deepEqual([record.readBigUInt64BE(64), record.readBigUInt64BE(72)], [1_700_000_000n, 0n])
  const keyRecord = hsm().quorum.generate(login(user('alice')), 'key-usage', HANDLE)
  assert.deepEqual([keyRecord.readUInt16BE(0), keyRecord.readUInt16BE(2), keyRecord.readBigUInt64BE(8)], [2, 5, 0xaan])
})

test('a user has one token for each admin service: a new one voids the one before', async () => {
  const { quorum, generate, approve } = await twoOfThree()
  const first = generate()
  generate()
  assert.equal(quorum.list(admin('one')).length, 1)
  assert.throws(() => approve(first, signedBy(first, 'one', 'two')), { code: 'QuorumFailed' })
})

test('for a key its owner and those it is shared with approve, and nobody else', async () => {
  const { quorum, key } = hsm()
  const session = login(user('alice'))
  const need: Need[] = [{ service: 'key-usage', handle: HANDLE }]
  assert.throws(() => quorum.claim(session, need), { code: 'QuorumRequired' })
  const record = quorum.generate(session, 'key-usage', HANDLE)
  const by = (username: string, signer: typeof ONE, role: Caller['role'] = 'crypto-user') => ({
    username,
    role,
    signature: signer.sign(tokenOf(record)),
  })
  const approve = (...signatures: Approval[]) => quorum.approve(session, { approvalData: record, signatures })
  assert.throws(() => approve(by('alice', ONE), by('eve', STRANGER)), {
    code: 'QuorumFailed',
    message: /eve has no say/,
  })
  assert.throws(() => approve(by('alice', ONE), by('two', TWO, 'admin')), { code: 'QuorumFailed' })
  approve(by('alice', ONE), by('bob', TWO))
  const shared = [...key.sharedWith]
  key.sharedWith.splice(0)
  assert.throws(() => quorum.claim(session, need), { message: /1 of 2/ }, 'no longer shared with bob')
  key.sharedWith.push(...shared)
  assert.throws(() => quorum.claim(login(user('bob')), need), { code: 'QuorumRequired' }, 'of another login')
  await quorum.claim(session, need)?.spendOn(() => undefined)
  assert.throws(() => quorum.claim(session, need), { code: 'QuorumRequired' })
})

test('who does not see a key is told neither that it is there nor that it needs approvals', () => {
  const { quorum } = hsm()
  const session = login(user('eve'))
  assert.throws(() => quorum.claim(session, [{ service: 'key-usage', handle: HANDLE }]), { code: 'KeyNotFound' })
  assert.throws(() => quorum.generate(session, 'key-usage', HANDLE), { code: 'KeyNotFound' })
  quorum.generate(login(user('alice')), 'key-usage', HANDLE)
  assert.deepEqual(quorum.list(user('eve')), [])
  assert.equal(quorum.list(user('bob')).length, 1)
})

test('what is asked for must make sense: a key for key services only, admins for admin services', () => {
  const { quorum } = hsm({ hsmType: 'hsm1.medium' })
  const one = login(admin('one'))
  const alice = login(user('alice'))
  assert.throws(() => quorum.generate(one, 'user', HANDLE), { code: 'InvalidRequest' })
  assert.throws(() => quorum.generate(alice, 'key-usage', undefined), { code: 'InvalidRequest' })
  assert.throws(() => quorum.generate(alice, 'key-management', HANDLE), { code: 'InvalidRequest', message: /needs no/ })
  assert.throws(() => quorum.generate(alice, 'user', undefined), { code: 'PermissionDenied' })
  assert.throws(() => quorum.generate(one, 'cluster', undefined), { code: 'PolicyRefused' }, 'not of hsm1.medium')
})

test('an HSM holds 1,024 tokens, a user 256 for keys; those that expired or lost their login make room', () => {
  const { quorum, clock, key } = hsm()
  const sessions = Array.from({ length: MAX_TOKENS / MAX_KEY_TOKENS_OF_USER }, (_, i) => login(user(`user${i}`)))
  key.sharedWith.push(...sessions.map(({ caller }) => caller?.username ?? ''))
  const fill = (session: LoginSession) => {
    for (let i = 0; i < MAX_KEY_TOKENS_OF_USER; i++) quorum.generate(session, 'key-usage', HANDLE)
  }
  for (const session of sessions) {
    fill(session)
    assert.throws(() => quorum.generate(session, 'key-usage', HANDLE), { code: 'LimitExceeded', message: /256/ })
  }
  const one = login(admin('one'))
  assert.throws(() => quorum.generate(one, 'user', undefined), { code: 'LimitExceeded', message: /1024/ })
  const [first] = sessions
  assert.ok(first)
  first.caller = undefined
  quorum.generate(one, 'user', undefined)
  clock.ms = 600_000
  first.caller = { ...user('user0') }
  for (const session of sessions) fill(session)
})

test('an admin deletes the own tokens or everybody’s; a login gives up one of its own', () => {
  const { quorum } = hsm()
  const one = login(admin('one'))
  const two = login(admin('two'))
  const fill = () => [quorum.generate(one, 'user', undefined), quorum.generate(two, 'user', undefined)] as const
  const owners = () => quorum.list(admin('one')).map(({ username }) => username)
  fill()
  quorum.delete(admin('one'), 'user')
  assert.deepEqual(owners(), ['two'])
  const [mine, other] = fill()
  quorum.drop(one, other)
  assert.equal(owners().length, 2)
  quorum.drop(one, mine)
  assert.deepEqual(owners(), ['two'])
  fill()
  quorum.delete(admin('one'), 'all')
  assert.deepEqual(owners(), [])
})

for (const [value, admins, allowed] of [
  [1, 1, true],
  [2, 1, false],
  [2, 2, true],
  [8, 8, true],
  [9, 9, false],
  [0, 3, false],
  [1.5, 3, false],
] as const) {
  test(`with ${admins} admins a quorum value of ${value} is ${allowed ? 'set' : 'refused'}`, async () => {
    const { values } = hsm({ admins })
    if (allowed) await values.set('user', value)
    else {
      await assert.rejects(values.set('user', value), {
        code: 'InvalidRequest',
        message: /^Invalid quorum value provided\./,
      })
    }
    assert.deepEqual(values.list(), { user: allowed ? value : 1, quorum: 1, cluster: 1 })
    assert.equal(values.adminsNeeded, allowed ? value : 1)
  })
}

test('hsm1.medium has no quorum for the cluster', async () => {
  const { values } = hsm({ hsmType: 'hsm1.medium' })
  assert.deepEqual(values.list(), { user: 1, quorum: 1 })
  await assert.rejects(values.set('cluster', 2), { code: 'PolicyRefused' })
})
