/** Approvals and signed logins as people do them: in interactive mode, with files that the openssl program signs. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { opensslSigner, type Signer } from '../../workers/hsm/quorum/testing/signer.ts'
import { startCluster, type TestCluster } from '../../workers/hsm/testing/process.ts'
import { toolHome } from './testing/tool.ts'

const TOOL = join(import.meta.dirname, '../../bin/cloudhsm-cli')
const answerShape = z.strictObject({ error_code: z.union([z.literal(0), z.literal(1)]), data: z.unknown() })
const tokensShape = z.looseObject({ tokens: z.array(z.looseObject({ unsigned: z.string() })) })
const approvalShape = z.looseObject({ token: z.string() })

const tools = toolHome()
const path = (name: string) => join(tools.home, name)
const signers: Record<'admin' | 'second', Signer> = { admin: opensslSigner(), second: opensslSigner() }
const open: { end(): Promise<void> }[] = []
let cluster: TestCluster

before(async () => {
  cluster = await startCluster()
  writeFileSync(path('customerCA.crt'), cluster.customer.certificate)
  const ca = ['--hsm-ca-cert', path('customerCA.crt'), '--disable-key-availability-check']
  assert.equal((await tools.configure(['-a', cluster.first.config.address, ...ca])).code, 0)
})
after(async () => {
  await Promise.all(open.map((session) => session.end()))
  await cluster.first.dispose()
  for (const signer of Object.values(signers)) signer[Symbol.dispose]()
  tools[Symbol.dispose]()
})

/** An interactive session that waits for each answer. */
function interactive() {
  const child = spawn(TOOL, ['interactive'], { env: { ...process.env, CLOUDHSM_HOME: tools.home } })
  let output = ''
  let waiting: () => void = () => undefined
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    waiting()
  })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const answer = async () => {
    for (;;) {
      const end = output.indexOf('\n}\n')
      if (end >= 0) {
        const text = output.slice(0, end + 3)
        output = output.slice(end + 3)
        return answerShape.parse(JSON.parse(text))
      }
      await new Promise<void>((resolve) => (waiting = resolve))
    }
  }
  const session = {
    send: (line: string) => void child.stdin.write(`${line}\n`),
    async ok(line: string) {
      session.send(line)
      const { error_code: code, data } = await answer()
      assert.equal(code, 0, JSON.stringify(data))
      return data
    },
    async refused(line: string) {
      session.send(line)
      const { error_code: code, data } = await answer()
      assert.equal(code, 1, JSON.stringify(data))
      return data
    },
    async end() {
      child.stdin.end()
      await closed
    },
  }
  open.push(session)
  return session
}

/** What people do with jq: fills `signed` of a file of tokens. */
function signTokens(name: string, signer: Signer): void {
  const file = tokensShape.parse(JSON.parse(readFileSync(path(name), 'utf8')))
  const tokens = file.tokens.map((token) => ({
    ...token,
    signed: signer.sign(Buffer.from(token.unsigned, 'base64')).toString('base64'),
  }))
  writeFileSync(path(name), JSON.stringify({ ...file, tokens }))
}

function signApproval(name: string, ...usernames: (keyof typeof signers)[]): void {
  const file = approvalShape.parse(JSON.parse(readFileSync(path(name), 'utf8')))
  const signatures = usernames.map((username) => ({
    username,
    role: 'admin',
    signature: signers[username].sign(Buffer.from(file.token, 'base64')).toString('base64'),
  }))
  writeFileSync(path(name), JSON.stringify({ ...file, signatures }))
}

async function written(name: string): Promise<void> {
  for (const end = Date.now() + 30_000; !existsSync(path(name)) || readFileSync(path(name), 'utf8').at(-1) !== '\n';) {
    if (Date.now() > end) assert.fail(`${name} was not written within 30 s`)
    await sleep(20)
  }
}

test('two admins register keys, and then one needs the other to make a user', async () => {
  const admin = interactive()
  assert.deepEqual(await admin.ok('quorum token-sign list-quorum-values'), { user: 1, quorum: 1, cluster: 1 })
  await admin.ok('cluster activate --password adminpass1')
  await admin.ok('login --username admin --role admin --password adminpass1')
  await admin.ok('user create --username second --role admin --password secondpass1')
  const second = interactive()
  await second.ok('login --username second --role admin --password secondpass1')
  for (const [username, session] of [
    ['admin', admin],
    ['second', second],
  ] as const) {
    const token = `${username}.token`
    const generate = `quorum token-sign generate --service registration --token ${path(token)}`
    assert.deepEqual(await session.ok(generate), { path: path(token) })
    signTokens(token, signers[username])
    const flags = `--public-key ${signers[username].publicKeyFile} --signed-token ${path(token)}`
    assert.deepEqual(await session.ok(`user change-quorum token-sign register ${flags}`), { username, role: 'admin' })
  }
  const set = 'quorum token-sign set-quorum-value --service user --value'
  assert.match(String(await admin.refused(`${set} 9`)), /Invalid quorum value provided/)
  assert.equal(await admin.ok(`${set} 2`), 'Set Quorum Value successful')

  const create = 'user create --username alice --role crypto-user --password alicepass1'
  assert.equal(await admin.refused(create), 'Quorum approval is required for this operation')
  await admin.ok(`quorum token-sign generate --service user --token ${path('op.token')}`)
  signApproval('op.token', 'admin')
  assert.match(String(await admin.refused(`${create} --approval ${path('op.token')}`)), /^Quorum Failed/)
  const listed = z
    .object({ tokens: z.array(z.record(z.string(), z.union([z.string(), z.number()]))) })
    .parse(await second.ok('quorum token-sign list'))
  const [{ 'token-timeout-seconds': left, ...token } = {}] = listed.tokens
  assert.ok(Number(left) > 0 && Number(left) <= 600)
  assert.deepEqual(token, {
    username: 'admin',
    service: 'user',
    'approvals-required': 2,
    'number-of-approvals': 1,
    'cluster-coverage': 'full',
  })
  signApproval('op.token', 'admin', 'second')
  assert.deepEqual(await admin.ok(`${create} --approval ${path('op.token')}`), {
    username: 'alice',
    role: 'crypto-user',
  })
  assert.match(
    String(await admin.refused(`user delete --username alice --role crypto-user --approval ${path('op.token')}`)),
    /^Quorum Failed/,
  )
  assert.equal(await admin.ok('quorum token-sign delete --scope all'), 'Deletion of quorum token(s) successful')
})

test('a login with MFA takes a password and a signed file', async () => {
  const second = interactive()
  await second.ok('login --username second --role admin --password secondpass1')
  second.send(`user change-mfa token-sign --username second --role admin --token ${path('mfa.token')}`)
  await written('mfa.token')
  signTokens('mfa.token', signers.second)
  second.send('')
  assert.deepEqual(await second.ok(signers.second.publicKeyFile), { username: 'second', role: 'admin' })
  await second.ok('logout')
  const login = 'login --username second --role admin'
  assert.match(String(await second.refused(`${login} --password secondpass1`)), /login mfa-token-sign/)
  second.send(`${login} mfa-token-sign --token ${path('login.token')}`)
  second.send('secondpass1')
  await written('login.token')
  signTokens('login.token', signers.second)
  assert.deepEqual(await second.ok(path('login.token')), { username: 'second', role: 'admin' })
  const { users } = z
    .object({ users: z.array(z.looseObject({ username: z.string(), mfa: z.unknown(), quorum: z.unknown() })) })
    .parse(await second.ok('user list'))
  const enabled = [{ strategy: 'token-sign', status: 'enabled' }]
  const self = users.find(({ username }) => username === 'second')
  assert.deepEqual([self?.mfa, self?.quorum], [enabled, enabled])
  await second.ok('user change-mfa token-sign --username second --role admin --deregister')
})
