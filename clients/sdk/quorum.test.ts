/** Approvals and signed logins with real HSM processes, keys and signatures made by the openssl program. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { z } from 'zod'
import { auditFilesIn } from '../../audit-log/files.ts'
import { AUDIT_DIRECTORY, auditFileName } from '../../provider-schema/audit-file.ts'
import { opensslSigner, type Signer } from '../../workers/hsm/quorum/testing/signer.ts'
import { startCluster, startHsmProcess, type HsmProcess, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { createClient, type Client, type ClientOptions } from './client.ts'
import { readApprovalFile } from './quorum-files.ts'

const admin = { username: 'admin', role: 'admin', password: 'adminpass1' } as const
const second = { username: 'second', role: 'admin', password: 'secondpass1' } as const
const alice = { username: 'alice', role: 'crypto-user', password: 'alicepass1' } as const
const bob = { username: 'bob', role: 'crypto-user', password: 'bobspass1' } as const

const tokenShape = z.looseObject({ token: z.string() })
const registrationShape = z.looseObject({ tokens: z.tuple([z.looseObject({ unsigned: z.string() })]) })

describe('a cluster of two HSMs that asks for two approvals', () => {
  let cluster: TestCluster
  const joined: HsmProcess[] = []
  const clients: Client[] = []
  const signers: Record<'admin' | 'second' | 'stranger', Signer> = {
    admin: opensslSigner(),
    second: opensslSigner(),
    stranger: opensslSigner(),
  }
  let epoch = 1

  const connect = async (options: Partial<ClientOptions> = {}) => {
    const { config } = cluster.first
    const servers = [{ hostname: config.address, port: config.ports.client }]
    const client = await createClient({ servers, ca: cluster.customer.certificate, ...options })
    clients.push(client)
    return client
  }
  const until = async (what: string, condition: () => boolean) => {
    for (const end = Date.now() + 30_000; !condition();) {
      if (Date.now() > end) assert.fail(`not within 30 s: ${what}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
  const onAll = (client: Client) =>
    until('a login on every HSM', () => {
      const hsms = client.hsms()
      return hsms.length === joined.length + 1 && hsms.every(({ loggedIn }) => loggedIn)
    })
  const loggedIn = async (user: typeof admin | typeof second) => {
    const client = await connect()
    await client.login(user)
    await onAll(client)
    return client
  }
  /** One more HSM takes over everything. */
  const join = async () => {
    const hsm = await startHsmProcess({ pki: cluster.pki })
    joined.push(hsm)
    const members = [cluster.first, ...joined].map(({ member }) => member)
    const membership = cluster.pki.signMembership({ clusterId: cluster.clusterId, epoch: ++epoch, members })
    for (const told of [cluster.first, ...joined.slice(0, -1)]) {
      const management = await told.management()
      await management.call('membership', membership).finally(() => management.close())
    }
    const management = await hsm.management()
    await management
      .call('join', { clusterId: cluster.clusterId, membership }, { timeoutMs: 60_000 })
      .finally(() => management.close())
  }
  const register = async (client: Client, signer: Signer) => {
    const file = registrationShape.parse(JSON.parse(await client.quorum.generateRegistration()))
    const [token] = file.tokens
    const signed = signer.sign(Buffer.from(token.unsigned, 'base64')).toString('base64')
    const signedToken = JSON.stringify({ ...file, tokens: [{ ...token, signed }] })
    return client.quorum.registerKey({ publicKey: signer.publicKey, signedToken })
  }
  /** What AWS's users do with jq and openssl. */
  const signedBy = (file: string, ...names: (keyof typeof signers)[]) => {
    const token = tokenShape.parse(JSON.parse(file))
    const signatures = names.map((name) => ({
      username: name === 'stranger' ? 'second' : name,
      role: 'admin',
      signature: signers[name].sign(Buffer.from(token.token, 'base64')).toString('base64'),
    }))
    return JSON.stringify({ ...token, signatures })
  }
  /** Changes by the other HSM that this one's audit log tells of. */
  const changesHeardOf = async ({ directory }: HsmProcess) => {
    const audit = joinPath(directory, AUDIT_DIRECTORY)
    const texts = (await auditFilesIn(audit)).map((file) => readFile(joinPath(audit, auditFileName(file)), 'utf8'))
    const told = /Response : \d+:HSM \w+: (\w+)\\n[^"]*Changed Record : (\S+?)\\n[^"]*Approved By : ([\w, ]+)/g
    return [...(await Promise.all(texts)).join('').matchAll(told)].map(([, response, record, approvedBy]) => ({
      record,
      response,
      approvedBy,
    }))
  }
  const REQUIRED = { code: 'QuorumRequired', message: 'Quorum approval is required for this operation' }

  before(async () => {
    cluster = await startCluster()
    const client = await connect({ requireTwoCopies: false })
    await client.activate(admin.password)
    await client.login(admin)
    await client.users.create(second)
    await client.users.create(alice)
    await join()
  })
  after(async () => {
    await Promise.all(clients.map((client) => client.close()))
    await Promise.all([cluster.first, ...joined].map((hsm) => hsm.dispose()))
    for (const signer of Object.values(signers)) signer[Symbol.dispose]()
  })

  test('admins register keys, which every HSM then knows, and ask for two approvals', async () => {
    for (const user of [admin, second]) {
      const client = await loggedIn(user)
      assert.deepEqual(await register(client, signers[user.username]), { username: user.username, role: 'admin' })
    }
    const client = await loggedIn(admin)
    for (const { answer } of await client.users.listPerHsm()) {
      assert.deepEqual(
        answer.filter(({ quorum }) => quorum).map(({ username }) => username),
        ['admin', 'second'],
      )
    }
    await client.quorum.setValue('user', 2)
    assert.deepEqual(await client.quorum.values(), { user: 2, quorum: 1, cluster: 1 })
    await assert.rejects(client.quorum.setValue('user', 3), { code: 'InvalidRequest' })
    await assert.rejects(client.users.create(bob), REQUIRED)
    await assert.rejects(client.users.delete(alice), REQUIRED)
    await assert.rejects(client.users.changePassword({ ...alice, password: 'alicepass2' }), REQUIRED)
    // One's own is one's own affair.
    await client.users.changePassword(admin)
  })

  test('a token has a part of each HSM, and with enough signatures lets one operation through, once in all', async () => {
    const client = await loggedIn(admin)
    const file = await client.quorum.generate('user')
    assert.equal(readApprovalFile(file).approvalData.length, 2 * 80)
    const signed = signedBy(file, 'admin', 'second')
    assert.deepEqual(await client.quorum.approved([signed], () => client.users.create(bob)), {
      username: 'bob',
      role: 'crypto-user',
    })
    assert.deepEqual(
      (await client.quorum.tokens()).map(({ answer }) => answer),
      [[], []],
    )
    await assert.rejects(client.users.delete(bob), REQUIRED)
    await assert.rejects(
      client.quorum.approved([signed], () => client.users.delete(bob)),
      { code: 'QuorumFailed' },
    )
    // The HSM that was not asked has verified the signatures as well, of the keys that were registered too, and its log says so.
    const heard = await Promise.all([cluster.first, ...joined].map(changesHeardOf))
    const expected = [
      ['users/admin', 'admin'],
      ['users/second', 'second'],
      ['users/bob', 'admin, second'],
    ].map(([record, approvedBy]) => ({ record, response: 'SUCCESS', approvedBy }))
    assert.deepEqual(heard.flat(), expected)
  })

  test('a wrong signer and too few signers are refused by every HSM', async () => {
    const client = await loggedIn(admin)
    const file = await client.quorum.generate('user')
    const remove = () => client.users.delete(bob)
    await assert.rejects(client.quorum.approved([signedBy(file, 'admin', 'stranger')], remove), {
      code: 'QuorumFailed',
      message: /signature of second does not verify/,
    })
    await assert.rejects(client.quorum.approved([signedBy(file, 'second')], remove), {
      code: 'QuorumFailed',
      message: /1 of 2/,
    })
    const lists = await client.quorum.tokens()
    assert.deepEqual(
      lists.map(({ answer }) => answer.map(({ approvals, approvalsRequired }) => [approvals, approvalsRequired])),
      [[[1, 2]], [[1, 2]]],
    )
    await client.quorum.approved([signedBy(file, 'admin', 'second')], remove)
  })

  test('a client that goes round all HSMs can spend a token on one of them only', async () => {
    const client = await loggedIn(admin)
    const signed = signedBy(await client.quorum.generate('user'), 'admin', 'second')
    const outcomes = await client.quorum.approved([signed], () =>
      // One that an HSM refuses for want of approvals is asked of every other.
      Promise.allSettled(['one', 'two', 'three'].map((username) => client.users.create({ ...bob, username }))),
    )
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected'])
  })

  test('a token is of no use to another login, and dies with its own', async () => {
    const client = await loggedIn(admin)
    const other = await loggedIn(admin)
    const signed = signedBy(await client.quorum.generate('user'), 'admin', 'second')
    await assert.rejects(
      other.quorum.approved([signed], () => other.users.create(bob)),
      { code: 'QuorumFailed' },
    )
    await client.logout()
    await client.login(admin)
    await onAll(client)
    await assert.rejects(
      client.quorum.approved([signed], () => client.users.create(bob)),
      { code: 'QuorumFailed' },
    )
  })

  test('with MFA each HSM wants its own token signed besides the password', async () => {
    const client = await loggedIn(second)
    const signer = signers.second
    const sign = (tokens: readonly Uint8Array[]) =>
      Promise.resolve(tokens.map((unsigned) => ({ unsigned, signed: signer.sign(unsigned) })))
    const user = { username: second.username, role: second.role }
    const change = { publicKey: () => signer.publicKey, sign }
    assert.deepEqual(await client.users.changeMfa({ ...user, change }), user)
    const fresh = await connect()
    await assert.rejects(fresh.login(second), { code: 'MfaRequired' })
    const byStranger = (tokens: readonly Uint8Array[]) =>
      Promise.resolve(tokens.map((unsigned) => ({ unsigned, signed: signers.stranger.sign(unsigned) })))
    await assert.rejects(fresh.loginSigned({ ...second, sign: byStranger }), { code: 'LoginFailed' })
    await fresh.loginSigned({ ...second, sign })
    await onAll(fresh)
    // What was signed for one HSM is nothing to the other.
    const mixed = await connect()
    await until('both HSMs', () => mixed.hsms().filter(({ connected }) => connected).length === 2)
    const swapped = async (tokens: readonly Uint8Array[]) => {
      const [one, two] = await sign(tokens)
      assert.ok(one && two)
      return [
        { unsigned: one.unsigned, signed: two.signed },
        { unsigned: two.unsigned, signed: one.signed },
      ]
    }
    await assert.rejects(mixed.loginSigned({ ...second, sign: swapped }), { code: 'LoginFailed' })
    await fresh.users.changeMfa({ ...user, change: 'deregister' })
    await mixed.login(second)
  })

  test('an HSM that is added voids the tokens there are; new ones have its part as well', async () => {
    const client = await loggedIn(admin)
    const old = signedBy(await client.quorum.generate('user'), 'admin', 'second')
    await join()
    await onAll(client)
    await assert.rejects(
      client.quorum.approved([old], () => client.users.create(bob)),
      { code: 'QuorumFailed' },
    )
    const file = await client.quorum.generate('user')
    assert.equal(readApprovalFile(file).approvalData.length, 3 * 80)
    await client.quorum.approved([signedBy(file, 'admin', 'second')], () => client.users.create(bob))
  })

  test('an HSM that was killed and came back asks for as many approvals as before', async () => {
    await cluster.first.stop('SIGKILL')
    await cluster.first.start()
    const client = await loggedIn(admin)
    assert.deepEqual(await client.quorum.values(), { user: 2, quorum: 1, cluster: 1 })
    await assert.rejects(client.users.delete(bob), REQUIRED)
  })
})
