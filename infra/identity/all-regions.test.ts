/** Accounts in several regions, each with a database of its own. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { createAccount, IdentityRefusal } from '../../api/identity/directory.ts'
import type { Directory } from '../../provider-schema/identity.ts'
import { freshDatabase, type FreshDatabase } from '../../test/support/database.ts'
import { Trouble } from '../trouble.ts'
import { changeDirectory, levelRegions, newestDirectory, openRegions, type Regions } from './all-regions.ts'
import { loadIdentityKey } from './identity-key-file.ts'

const NOW = new Date()
const adding = (id: string) => (directory: Directory) => createAccount(directory, id, '', NOW)

describe('the accounts of all regions', () => {
  let databases: FreshDatabase[]
  let regions: Regions
  beforeEach(async () => {
    databases = [await freshDatabase(), await freshDatabase()]
    regions = await openRegions(urls())
  })
  afterEach(async () => {
    await regions.close()
    await Promise.all(databases.map((each) => each.drop()))
  })
  const urls = () => new Map(databases.map(({ url }, at) => [['us-east-1', 'eu-west-1'][at] ?? '', url] as const))
  /** Account ids as each region knows them. */
  const known = async () =>
    Promise.all(
      regions.prepared.map(async ({ database }) =>
        (await database.read.identity.load()).directory.accounts.map(({ id }) => id),
      ),
    )

  test('are changed in every region at once', async () => {
    await changeDirectory(regions, adding('111111111111'))
    await changeDirectory(regions, adding('222222222222'))
    assert.deepEqual(await known(), Array(2).fill(['111111111111', '222222222222']))
    const [one, two] = await Promise.all(regions.prepared.map(({ database }) => database.read.identity.version()))
    assert.deepEqual(one, two)
    assert.equal(one?.revision, 2)
  })

  test('are changed in none when the change is refused', async () => {
    await changeDirectory(regions, adding('111111111111'))
    await assert.rejects(changeDirectory(regions, adding('111111111111')), IdentityRefusal)
    assert.deepEqual(await known(), Array(2).fill(['111111111111']))
  })

  test('are changed in none when one region cannot take it', async () => {
    const [, last] = regions.prepared
    await last?.database.pool.query(
      "create function no() returns trigger as $$ begin raise 'no'; end $$ language plpgsql",
    )
    await last?.database.pool.query('create trigger no before insert on identity for each row execute function no()')
    await assert.rejects(changeDirectory(regions, adding('111111111111')))
    assert.deepEqual(await known(), [[], []])
  })

  test('two changes at once both come to be', async () => {
    const other = await openRegions(urls())
    try {
      await Promise.all([
        changeDirectory(regions, adding('111111111111')),
        changeDirectory(other, adding('222222222222')),
      ])
      assert.deepEqual(await known(), Array(2).fill(['111111111111', '222222222222']))
    } finally {
      await other.close()
    }
  })

  test('a region that missed a change is brought level by the next one, or by being asked to', async () => {
    const missing = async () => regions.prepared[0]?.database.pool.query('delete from identity')
    await changeDirectory(regions, adding('111111111111'))
    await missing()
    assert.deepEqual((await newestDirectory(regions)).directory.accounts.length, 1)
    await changeDirectory(regions, adding('222222222222'))
    assert.deepEqual(await known(), Array(2).fill(['111111111111', '222222222222']))
    await missing()
    assert.deepEqual(await levelRegions(regions), ['eu-west-1'])
    assert.deepEqual(await levelRegions(regions), [])
    assert.deepEqual(await known(), Array(2).fill(['111111111111', '222222222222']))
  })

  test('a region that was never started is left for later; one that cannot be reached stops everything', async () => {
    const [{ url } = { url: '' }] = databases
    const never = url.replace(/\/[^/]*$/, '/never_made')
    const some = await openRegions(
      new Map([
        ['us-east-1', url],
        ['sa-east-1', never],
      ]),
    )
    assert.deepEqual([some.prepared.map(({ region }) => region), some.unprepared], [['us-east-1'], ['sa-east-1']])
    await some.close()
    const down = new Map([
      ['us-east-1', url],
      ['sa-east-1', 'postgres://127.0.0.1:1/x'],
    ])
    await assert.rejects(
      openRegions(down),
      (error) => error instanceof Trouble && /sa-east-1 cannot be reached.*Nothing was changed/.test(error.message),
    )
  })
})

describe('the identity key of a fleet', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'strongroom-identity-'))
  })
  after(() => rm(dir, { recursive: true }))
  const file = () => join(dir, 'identity.key')

  test('is made once, whoever comes first, for its owner alone', async () => {
    const keys = await Promise.all(Array.from({ length: 4 }, () => loadIdentityKey({ dir })))
    const sealed = keys[0]?.sealSecret('a-secret-for-all', 'AKIAAAAAAAAAAAAAAAAA') ?? ''
    for (const key of keys) assert.equal(key.openSecret(sealed, 'AKIAAAAAAAAAAAAAAAAA').reveal(), 'a-secret-for-all')
    const { mode, size } = await stat(file())
    assert.deepEqual([mode & 0o777, size], [0o600, 32])
  })

  test('is refused when others can read it, or it is cut short', async () => {
    const whole = await readFile(file())
    await writeFile(file(), whole.subarray(1))
    await assert.rejects(loadIdentityKey({ dir }), /31 bytes long, not 32/)
    await rm(file())
    await writeFile(file(), whole, { mode: 0o644 })
    await assert.rejects(loadIdentityKey({ dir }), /open to other users/)
  })
})
