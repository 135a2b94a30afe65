/** The words of `strongroom account`, over two regions with databases of their own; nothing else runs. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, mock, test } from 'node:test'
import { Command } from 'commander'
import { accountIn } from '../../../api/identity/directory.ts'
import type { AccountId, BackupId, ClusterId } from '../../../provider-schema/ids.ts'
import { openDatabase, type Database } from '../../../state/database.ts'
import { freshDatabase, type FreshDatabase } from '../../../test/support/database.ts'
import { loadIdentityKey } from '../../identity/identity-key-file.ts'
import { Trouble } from '../../trouble.ts'
import { addAccountCommands } from '../account.ts'
import { terminal } from './terminal.ts'

const REGIONS = ['us-east-1', 'eu-west-1'] as const
let data: string
let fresh: FreshDatabase[]
let databases: Database[]
let said = ''
let input = ''

before(async () => {
  data = await mkdtemp(join(tmpdir(), 'strongroom-account-'))
  fresh = [await freshDatabase(), await freshDatabase()]
  databases = fresh.map(({ url }) => openDatabase({ url, connections: 1 }))
  const region = Object.fromEntries(REGIONS.map((name, at) => [name, { databaseUrl: fresh[at]?.url }]))
  await writeFile(join(data, 'strongroom.json'), JSON.stringify({ regions: REGIONS, region }))
  mock.method(terminal, 'say', (text: string) => void (said += text))
  mock.method(terminal, 'warn', () => undefined)
  mock.method(terminal, 'input', async function* () {
    yield await Promise.resolve(Buffer.from(input))
  })
})
after(async () => {
  mock.restoreAll()
  await Promise.all(databases.map((each) => each.close()))
  await Promise.all(fresh.map((each) => each.drop()))
  await rm(data, { recursive: true })
})

/** What a command says; throws what it throws. */
async function run(...words: string[]): Promise<string> {
  said = ''
  const program = new Command().exitOverride()
  addAccountCommands(program)
  await program.parseAsync(['account', ...words, '--data', data], { from: 'user' })
  return said
}
const reading = async (text: string, ...words: string[]) => {
  input = text
  return run(...words)
}
const refusal = async (...words: string[]): Promise<string> => {
  const before = await known()
  const error: unknown = await run(...words).then(
    () => undefined,
    (e: unknown) => e,
  )
  assert.ok(error instanceof Trouble, String(error))
  assert.deepEqual(await known(), before, 'a refusal changed something')
  return error.message
}
const known = () => Promise.all(databases.map(async ({ read }) => (await read.identity.load()).directory))
const stored = async (account: string) => {
  const [one, other] = await known()
  assert.deepEqual(one, other)
  return accountIn(one ?? { accounts: [] }, account)
}

const ID = '222222222222'
const here = ['--account', ID]
const POLICY = '{"Statement":[{"Effect":"Allow","Action":"cloudhsm:Describe*","Resource":"*"}]}'
const TRUST = `{"Statement":{"Effect":"Allow","Principal":{"AWS":"${ID}"},"Action":"sts:AssumeRole"}}`

test('an account is made in every region, with a key whose secret is shown once', async () => {
  const text = await run('create', ID, '--name', 'staging')
  const [, id = '', secret = ''] = /AWS_ACCESS_KEY_ID=(\S+) AWS_SECRET_ACCESS_KEY=(\S+)/.exec(text) ?? []
  assert.match(text, /Access key of arn:aws:iam::222222222222:root/)
  assert.match(text, /not shown again/)
  assert.match(text, /In eu-west-1, us-east-1\./)
  const [key] = (await stored(ID)).accessKeys
  const identityKey = await loadIdentityKey({ dir: join(data, 'fleet') })
  assert.equal(identityKey.openSecret(key?.sealed ?? '', id).reveal(), secret)
  assert.match(await run('list'), new RegExp(`${ID} +staging +0 +0 +1 +0`))
})

test('an account without a number is given one, and without a key has none', async () => {
  const { Account } = JSON.parse(await run('create', '--no-key', '--json')) as { Account: string }
  assert.match(Account, /^\d{12}$/)
  assert.deepEqual((await stored(Account)).accessKeys, [])
  await run('delete', Account)
})

test('users, their policies and keys', async () => {
  assert.match(await run('user', 'create', 'ada', '--tag', 'team=hsm', '--tag', 'x=', ...here), /user\/ada\nNothing is/)
  await reading(POLICY, 'policy', 'put', 'look', '-', '--user', 'ada', ...here)
  const { AccessKeyId, SecretAccessKey } = JSON.parse(
    await run('key', 'create', '--user', 'ada', '--json', ...here),
  ) as {
    AccessKeyId: string
    SecretAccessKey: string
  }
  const [ada] = (await stored(ID)).users
  assert.deepEqual([ada?.tags, ada?.policies], [{ team: 'hsm', x: '' }, { look: POLICY }])
  assert.equal(await run('policy', 'list', '--user', 'ada', ...here), 'look\n')
  assert.equal(await run('policy', 'show', 'look', '--user', 'ada', ...here), `${POLICY}\n`)
  assert.match(await run('user', 'list', ...here), new RegExp(`ada +look +${AccessKeyId}`))
  await run('key', 'disable', AccessKeyId)
  assert.match(await run('key', 'list'), new RegExp(`${AccessKeyId} +${ID} +ada +Inactive`))
  await run('key', 'enable', AccessKeyId)
  assert.match(await run('key', 'list'), new RegExp(`${AccessKeyId} +${ID} +ada +Active`))
  const shown = (await run('key', 'list', '--json')) + (await run('user', 'list', '--json', ...here))
  assert.ok(!shown.includes(SecretAccessKey))
  await run('policy', 'delete', 'look', '--user', 'ada', ...here)
  await run('key', 'delete', AccessKeyId)
  const [left] = (await stored(ID)).users
  assert.deepEqual([left?.policies, left?.accessKeys], [{}, []])
  await run('user', 'delete', 'ada', ...here)
})

test('a secret that is given comes from standard input, and is not repeated', async () => {
  const secret = 'brought-from-elsewhere-0123456789'
  const id = 'AKIABROUGHTALONGAAAA'
  const text = await reading(`${secret}\n`, 'key', 'create', '--id', id, '--secret-stdin', ...here)
  assert.ok(text.includes(id) && !text.includes(secret))
  const key = (await stored(ID)).accessKeys.find((each) => each.id === id)
  const identityKey = await loadIdentityKey({ dir: join(data, 'fleet') })
  assert.equal(identityKey.openSecret(key?.sealed ?? '', id).reveal(), secret)
})

test('roles, and who may take them', async () => {
  const role = ['role', 'create', 'ops', '--trust', '-', '--max-session', '7200', ...here]
  assert.match(await reading(TRUST, ...role), /^arn:aws:iam::222222222222:role\/ops\n/)
  assert.match(await run('role', 'list', ...here), /ops +7200/)
  const other = TRUST.replace(ID, '333333333333')
  await reading(other, 'role', 'trust', 'ops', '-', ...here)
  assert.equal((await stored(ID)).roles[0]?.trust, other)
  await reading(POLICY, 'policy', 'put', 'look', '-', '--role', 'ops', ...here)
  assert.deepEqual((await stored(ID)).roles[0]?.policies, { look: POLICY })
  const [listed] = JSON.parse(await run('role', 'list', '--json', ...here)) as { policies: string[] }[]
  assert.deepEqual(listed?.policies, ['look'])
  await run('role', 'delete', 'ops', ...here)
  assert.deepEqual((await stored(ID)).roles, [])
})

test('an account of the configuration can have users as well', async () => {
  await run('user', 'create', 'bob', '--account', '000000000000')
  assert.equal((await stored('000000000000')).users[0]?.name, 'bob')
  assert.match(await run('list'), /000000000000 +configured +1 +0 +0 +1/)
})

const REFUSALS: readonly (readonly [string, string[], RegExp])[] = [
  ['an account that is there', ['create', ID], /There is an account 222222222222 already/],
  ['an account of the configuration', ['create', '000000000000'], /in the configuration already/],
  ['an account that is none', ['create', '12'], /twelve digits/],
  [
    'to guess which account is meant',
    ['user', 'create', 'eve'],
    /Which account\? There are 000000000000, 222222222222/,
  ],
  ['an unknown account', ['user', 'create', 'eve', '--account', '999999999999'], /no account 999999999999/],
  ['a file that is not there', ['policy', 'put', 'x', '/nonexistent', '--user', 'ada', ...here], /cannot be read/],
  ['a policy of nobody', ['policy', 'list', ...here], /of a user or of a role/],
  ['an unknown policy', ['policy', 'show', 'x', '--user', 'bob', '--account', '000000000000'], /no policy x/],
  ['an unknown user', ['key', 'create', '--user', 'eve', ...here], /no user eve/],
  ['a tag that is none', ['user', 'create', 'eve', '--tag', 'x', ...here], /--tag x is not key=value/],
  ['an unknown key', ['key', 'delete', 'AKIAAAAAAAAAAAAAAAAA'], /no access key/],
]
for (const [what, words, text] of REFUSALS) {
  test(`refuses ${what}`, async () => {
    assert.match(await refusal(...words), text)
  })
}

test('refuses a document that is no policy, or too long to be one', async () => {
  input = '{"Statement":[]}'
  assert.match(await refusal('policy', 'put', 'x', '-', '--user', 'bob', '--account', '000000000000'), /at least one/)
  input = 'x'.repeat(70_000)
  assert.match(
    await refusal('policy', 'put', 'x', '-', '--user', 'bob', '--account', '000000000000'),
    /longer than 65536/,
  )
  assert.match(
    await refusal('role', 'create', 'r', '--trust', '-', '--max-session', 'x', ...here),
    /Standard input|not a number/,
  )
})

test('an account with a backup is not deleted by accident', async () => {
  await databases[1]?.read.backups.insert({
    id: 'backup-aaaaaaaaaaa' as BackupId,
    account: ID as AccountId,
    clusterId: 'cluster-aaaaaaaaaaa' as ClusterId,
    hsmType: 'hsm2m.medium',
    mode: 'FIPS',
    state: 'READY',
    createdAt: new Date(),
  })
  assert.match(await refusal('delete', ID), /still has 1 backup in eu-west-1/)
  await run('delete', ID, '--force')
  assert.ok((await known()).every(({ accounts }) => accounts.every(({ id }) => id !== ID)))
})

test('sync brings a region level that knows something else', async () => {
  await databases[0]?.pool.query('delete from identity')
  assert.match(await run('sync'), /Brought up to date: us-east-1/)
  assert.match(await run('sync'), /All regions know the same accounts/)
})

test('a region that cannot be reached stops a change, and is named', async () => {
  const config = join(data, 'other.json')
  const region = {
    'us-east-1': { databaseUrl: fresh[0]?.url },
    'eu-west-1': { databaseUrl: 'postgres://127.0.0.1:1/x' },
  }
  await writeFile(config, JSON.stringify({ regions: REGIONS, region }))
  assert.match(
    await refusal('create', '444444444444', '--config', config),
    /eu-west-1 cannot be reached.*Nothing was changed/,
  )
})
