import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Trouble } from '../trouble.ts'
import { DEFAULT_ACCOUNTS } from './configuration.ts'
import { configuredDatabaseUrl } from './database-url.ts'
import { dataDirectory, loadConfiguration } from './load.ts'

describe('the configuration', () => {
  let data: string
  before(async () => {
    data = await mkdtemp(join(tmpdir(), 'strongroom-configuration-'))
  })
  after(() => rm(data, { recursive: true, force: true }))

  const write = (content: unknown) => writeFile(join(data, 'strongroom.json'), JSON.stringify(content))
  const refusal = async (flags: object, env: Record<string, string> = {}) => {
    const error: unknown = await loadConfiguration({ data, ...flags }, env).then(
      () => undefined,
      (e: unknown) => e,
    )
    assert.ok(error instanceof Trouble)
    return `${error.message} ${error.mend ?? ''}`
  }

  test('has a default for everything', async () => {
    const configuration = await loadConfiguration({ data }, {})
    assert.equal(configuration.port, 4570)
    assert.equal(configuration.listen, '127.0.0.1')
    assert.deepEqual(configuration.regions, ['us-east-1'])
    assert.deepEqual(configuration.accounts, DEFAULT_ACCOUNTS)
    assert.equal(configuration.limits.hsmsPerCluster, 28)
  })

  test('takes the command line before the environment before the file', async () => {
    await write({ port: 1, unknownSubnets: 'refuse' })
    assert.equal((await loadConfiguration({ data }, {})).port, 1)
    assert.equal((await loadConfiguration({ data }, { STRONGROOM_PORT: '2' })).port, 2)
    const configuration = await loadConfiguration({ data, port: '3' }, { STRONGROOM_PORT: '2' })
    assert.equal(configuration.port, 3)
    assert.equal(configuration.unknownSubnets, 'refuse')
    await write({})
  })

  test('without a word on regions has those of the data directory, the default first', async () => {
    for (const name of ['eu-west-1', 'us-east-1', 'ap-south-1', 'something-else']) {
      await mkdir(join(data, 'regions', name), { recursive: true })
    }
    assert.deepEqual((await loadConfiguration({ data }, {})).regions, ['us-east-1', 'ap-south-1', 'eu-west-1'])
    assert.deepEqual((await loadConfiguration({ data, regions: 'eu-west-1' }, {})).regions, ['eu-west-1'])
    await rm(join(data, 'regions'), { recursive: true })
  })

  for (const [what, flags, words] of [
    ['a port that is none', { port: 'http' }, /port/],
    ['a port out of range', { port: '70000' }, /port/],
    ['a region that is none', { regions: 'us-east-1,mars' }, /not a region/],
    ['no region', { regions: ',' }, /regions/],
    ['an address that is none', { listen: 'localhost' }, /listen/],
    ['everybody as listeners, with the default credentials', { listen: '0.0.0.0' }, /default credentials/],
    ['everybody over IPv6, with the default credentials', { listen: '::' }, /default credentials/],
    ['a file that is not there', { config: '/nonexistent.json' }, /cannot be read: there is no such file/],
    ['a pace that is none', { pace: 'quick' }, /instant, aws, or a number/],
    ['a pace that stands still', { pace: '0' }, /pace/],
    ['a pace slower than anything waits for', { pace: '6' }, /pace/],
    ['--ephemeral with --data', { ephemeral: true }, /--ephemeral/],
  ] as const) {
    test(`refuses ${what}, and names it`, async () => {
      assert.match(await refusal(flags), words)
    })
  }

  test('takes a pace and a rehearsal from the command line, the environment or the file', async () => {
    const { pace, rehearsal } = await loadConfiguration({ data }, {})
    assert.deepEqual([pace, rehearsal], ['instant', false])
    for (const [text, expected] of [
      ['aws', 'aws'],
      ['instant', 'instant'],
      ['0.01', 0.01],
      ['2', 2],
    ] as const) {
      assert.equal((await loadConfiguration({ data, pace: text }, {})).pace, expected)
      assert.equal((await loadConfiguration({ data }, { STRONGROOM_PACE: text })).pace, expected)
    }
    assert.equal((await loadConfiguration({ data, rehearsal: true }, {})).rehearsal, true)
    await write({ pace: 0.5, rehearsal: true })
    const file = await loadConfiguration({ data }, {})
    assert.deepEqual([file.pace, file.rehearsal], [0.5, true])
    await write({})
  })

  test('takes quotas of single accounts', async () => {
    await write({ limits: { accounts: { '123456789012': { clustersPerAccount: 40 } } } })
    const { limits } = await loadConfiguration({ data }, {})
    assert.equal(limits.clustersPerAccount, 4)
    assert.deepEqual(limits.accounts, { '123456789012': { clustersPerAccount: 40 } })
    await write({ limits: { accounts: { '123456789012': { hsmsPerCluster: 29 } } } })
    assert.match(await refusal({}), /hsmsPerCluster/)
    await write({})
  })

  test('refuses a member that it does not know, rather than ignore a slip of the pen', async () => {
    await write({ accuonts: [] })
    assert.match(await refusal({}), /accuonts/)
    await write({})
  })

  test('says of a file that is not JSON no more than that', async () => {
    await writeFile(join(data, 'strongroom.json'), '{ "accounts": [ { "secret": "hunter2" ')
    const text = await refusal({})
    assert.match(text, /is not JSON/)
    assert.ok(!text.includes('hunter2'))
    await write({})
  })

  test('lets a listener be where it likes, with credentials of the operator', async () => {
    await write({ accounts: [{ id: '123456789012', accessKeys: [{ id: 'AKIDEXAMPLE', secret: 'own' }] }] })
    assert.equal((await loadConfiguration({ data, listen: '0.0.0.0' }, {})).listen, '0.0.0.0')
    await write({})
  })

  test('lets a listener be where it likes without any configured key: accounts are made by command then', async () => {
    await write({ accounts: [] })
    assert.deepEqual((await loadConfiguration({ data, listen: '0.0.0.0' }, {})).accounts, [])
    await write({})
  })

  test('refuses the default credentials among others, in whatever account they are', async () => {
    const keys = [
      { id: 'own', secret: 'own' },
      { id: 'test', secret: 'test' },
    ]
    await write({ accounts: [{ id: '123456789012', accessKeys: keys }] })
    assert.match(await refusal({ listen: '0.0.0.0' }), /default credentials/)
    await write({})
  })

  test('gives each region a database of its own on the server of the operator', async () => {
    const urlOf = async (databaseUrl: string, region = {}) => {
      await write({ region })
      const configuration = await loadConfiguration({ data }, { STRONGROOM_DATABASE_URL: databaseUrl })
      return configuredDatabaseUrl(configuration, 'us-east-1')
    }
    assert.equal(await urlOf('postgres://u:p@h:5/postgres'), 'postgres://u:p@h:5/strongroom_us_east_1')
    assert.equal(await urlOf('postgres://u:p@h:5'), 'postgres://u:p@h:5/strongroom_us_east_1')
    assert.equal(await urlOf('postgres://h/vault?sslmode=require'), 'postgres://h/vault_us_east_1?sslmode=require')
    const own = { 'us-east-1': { databaseUrl: 'postgres://elsewhere/x' } }
    assert.equal(await urlOf('postgres://h/vault', own), 'postgres://elsewhere/x')
    assert.equal(await urlOf(''), undefined)
  })

  test('offers hsm1.medium only when it is asked for, by the file or by a flag', async () => {
    const offered = async (flags = {}) => (await loadConfiguration({ data, ...flags }, {})).offeredHsmTypes
    await write({})
    assert.deepEqual(await offered(), ['hsm2m.medium'])
    assert.deepEqual(await offered({ allowHsm1: true }), ['hsm1.medium', 'hsm2m.medium'])
    await write({ offeredHsmTypes: ['hsm1.medium'] })
    assert.deepEqual(await offered(), ['hsm1.medium'])
    await write({})
  })

  test('has bounds for how patient the service is with lost HSMs', async () => {
    await write({ recovery: { lostSeconds: 5 } })
    assert.deepEqual((await loadConfiguration({ data }, {})).recovery, {
      lostSeconds: 5,
      silentSeconds: 600,
      validationSeconds: 30,
    })
    await write({ recovery: { silentSeconds: 1 } })
    await assert.rejects(loadConfiguration({ data }, {}), /silentSeconds/)
    await write({})
  })

  test('names the oldest versions of clients by name and number alone', async () => {
    await write({ hsmTypeChange: { oldestClients: { 'my-app': '2.4' } } })
    assert.deepEqual((await loadConfiguration({ data }, {})).hsmTypeChange.oldestClients, { 'my-app': '2.4' })
    for (const wrong of [{ 'my-app': 'latest' }, { 'my-app': '2.x' }, { 'my/app': '2' }, { '': '2' }]) {
      await write({ hsmTypeChange: { oldestClients: wrong } })
      await assert.rejects(loadConfiguration({ data }, {}), /oldestClients/, JSON.stringify(wrong))
    }
    await write({})
  })

  test('lies in the place for application data, unless something else is said', () => {
    assert.equal(dataDirectory(undefined, { XDG_DATA_HOME: '/share' }), '/share/strongroom')
    assert.equal(dataDirectory(undefined, { STRONGROOM_DATA: '/there', XDG_DATA_HOME: '/share' }), '/there')
    assert.equal(dataDirectory('/here', { STRONGROOM_DATA: '/there' }), '/here')
  })

  test('never lies in the working directory because a variable is empty', async () => {
    assert.equal(dataDirectory(undefined, { STRONGROOM_DATA: '', XDG_DATA_HOME: '/share' }), '/share/strongroom')
    assert.ok(dataDirectory(undefined, { XDG_DATA_HOME: '' }).endsWith('/.local/share/strongroom'))
    assert.throws(() => dataDirectory('', { STRONGROOM_DATA: '/there' }), /--data names no directory/)
    assert.match(await refusal({ data: '' }), /--data names no directory/)
  })

  test('takes a variable that is set to nothing as one that is not set', async () => {
    const names = ['PORT', 'LISTEN', 'REGIONS', 'PACE', 'CONFIG', 'DATABASE_URL'].map((name) => `STRONGROOM_${name}`)
    const empty = Object.fromEntries(names.map((name) => [name, '']))
    assert.deepEqual(await loadConfiguration({ data }, empty), await loadConfiguration({ data }, {}))
  })
})
