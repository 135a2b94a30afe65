/** Every file of an HSM's directory, damaged: the HSM has everything, or names the file and how to recover. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import pino from 'pino'
import { chanceOf } from '../../test/support/chance.ts'
import { isSound } from './backup/read-backup.ts'
import { hsmConfig } from '../../provider-schema/hsm-directory.ts'
import { startHsm } from './hsm.ts'
import { activatedCluster, aliceOn } from './testing/activated.ts'
import type { TestCluster } from './testing/process.ts'
import { HOW_TO_RECOVER } from './vault/seal.ts'

const SEED = Number(process.env['STRONGROOM_DAMAGE_SEED'] ?? 20_261_125)
const BACKUP = 'backup-aaaaaaaaaaa'
/** The store's own file is for store-damage.test.ts; nobody reads what the directory's host prints into. */
const ELSEWHERE = ['store/data.mdb', 'hsm.log']
/** What an HSM mends by itself. */
const MENDED = ['hsm.json', 'device.pem', 'provider.pem']

let cluster: TestCluster
let good: string
let inventory: unknown

before(async () => {
  cluster = await activatedCluster()
  const { first } = cluster
  const alice = await aliceOn(cluster)
  for (const label of ['one', 'two', 'three']) {
    await alice.call('key-generate-aes', { lengthBytes: 32, attributes: { label }, requireTwoCopies: false })
  }
  await alice.close()
  const management = await first.management()
  await management.call('backup-begin', { backupId: BACKUP })
  inventory = await management.call('inventory', {})
  await management.close()
  await first.stop('SIGKILL')
  good = await mkdtemp(join(tmpdir(), 'good-'))
  await cp(first.directory, good, { recursive: true })
})
after(async () => {
  await cluster.first.dispose()
  await rm(good, { recursive: true })
})

/** `whole` when the HSM starts and has everything; else what it refuses with. */
async function outcome(): Promise<string> {
  const warnings: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) })
  const signal = AbortSignal.timeout(30_000)
  const options = { directory: cluster.first.directory, version: 'test', log, signal, onZeroised: () => undefined }
  let hsm: Awaited<ReturnType<typeof startHsm>>
  try {
    hsm = await startHsm(options)
  } catch (error) {
    assert.ok(error instanceof Error)
    const left = await readFile(join(cluster.first.directory, 'refused'), 'utf8')
    assert.equal(left, error.message, 'the host is told the same')
    return error.message
  }
  try {
    const management = await cluster.first.management()
    assert.deepEqual(await management.call('inventory', {}), inventory)
    assert.equal((await management.call('health', {})).phase, 'active')
    await management.close()
    return 'whole'
  } finally {
    await hsm.stop()
  }
}

async function restoreGood(): Promise<void> {
  await rm(cluster.first.directory, { recursive: true })
  await cp(good, cluster.first.directory, { recursive: true })
}

type Damage = (path: string, chance: () => number) => Promise<void>

const flip: Damage = async (path, chance) => {
  const bytes = await readFile(path)
  const at = Math.floor(chance() * bytes.length)
  if (bytes.length > 0) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(chance() * 8)), at)
  await writeFile(path, bytes)
}
const damages: readonly (readonly [string, Damage])[] = [
  ['with a flipped bit', flip],
  ['with another flipped bit', flip],
  ['cut to half', async (path) => truncate(path, Math.floor((await stat(path)).size / 2))],
  ['empty', (path) => truncate(path, 0)],
  ['gone', (path) => rm(path)],
]

test(`any file but the store itself, damaged in any way (seed ${SEED})`, async (context) => {
  const chance = chanceOf(SEED)
  const entries = await readdir(good, { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(good.length + 1))
  for (const expected of [
    'hsm.json',
    'seal.key',
    'device.pem',
    'audit/000001.jsonl',
    `backups/${BACKUP}.sealed`,
    'store.open',
  ]) {
    assert.ok(files.includes(expected), `${expected} among ${files.join(' ')}`)
  }
  const said: string[] = []
  for (const file of files.filter((each) => !ELSEWHERE.includes(each))) {
    for (const [how, damage] of damages) {
      const what = `${file} ${how}`
      await restoreGood()
      const path = join(cluster.first.directory, file)
      // Tried by itself: it costs another process.
      if (file !== 'store.open') await rm(join(cluster.first.directory, 'store.open'))
      await damage(path, chance)
      const came = await outcome()
      said.push(`${what}: ${came}`)
      if (came === 'whole') {
        if (MENDED.includes(file))
          assert.deepEqual(await readFile(path), await readFile(join(good, file)), `${what} is mended`)
        continue
      }
      assert.ok(file === 'seal.key', `${what} keeps the HSM from starting: ${came}`)
      assert.match(came, /seal\.key/, what)
      assert.ok(came.includes(HOW_TO_RECOVER), `${what}: ${came}`)
    }
  }
  context.diagnostic(said.join('\n'))
  assert.equal(said.filter((each) => !each.endsWith(': whole')).length, damages.length, 'of the seal key only')
})

test('of the configuration only the path of the fleet key may change, to one that leads to a file', async () => {
  await restoreGood()
  const { directory, config } = cluster.first
  const path = join(directory, 'hsm.json')
  const moved = join(directory, 'moved.key')
  await cp(config.fleetBackupKeyFile, moved)
  const pathAfter = async (change: object) => {
    await writeFile(path, JSON.stringify({ ...config, ...change }))
    assert.equal(await outcome(), 'whole')
    return hsmConfig.parse(JSON.parse(await readFile(path, 'utf8')))
  }
  assert.deepEqual(await pathAfter({ hsmType: 'hsm1.medium', eniIp: '10.0.0.1' }), config)
  assert.deepEqual(await pathAfter({ fleetBackupKeyFile: `${moved}.not` }), config)
  assert.deepEqual(await pathAfter({ fleetBackupKeyFile: moved }), { ...config, fleetBackupKeyFile: moved })
  await rm(path)
  assert.equal(await outcome(), 'whole')
  assert.equal(hsmConfig.parse(JSON.parse(await readFile(path, 'utf8'))).fleetBackupKeyFile, moved)
})

test('a process with a damaged seal key says so in one line of its log, without a stack', async () => {
  await restoreGood()
  await flip(join(cluster.first.directory, 'seal.key'), chanceOf(SEED))
  const before = cluster.first.output.length
  await assert.rejects(cluster.first.start(), /nothing in it opens with that key/)
  const lines = cluster.first.output.slice(before).trim().split('\n')
  const last: unknown = JSON.parse(lines.at(-1) ?? '')
  assert.ok(typeof last === 'object' && last !== null && 'reason' in last && 'msg' in last)
  assert.equal(last.msg, 'the HSM cannot run')
  assert.ok(String(last.reason).includes(HOW_TO_RECOVER))
  assert.doesNotMatch(lines.join('\n'), /\n? {4}at /)
})

test('a sealed backup that was damaged on the disk is not given out: it is made anew', async () => {
  const { first, pki } = cluster
  await restoreGood()
  const path = join(first.directory, 'backups', `${BACKUP}.sealed`)
  const before = await readFile(path)
  await flip(path, chanceOf(SEED))
  await first.start()
  const management = await first.management()
  try {
    const made = await management.call('backup-begin', { backupId: BACKUP })
    assert.equal(made.size, before.length)
    assert.ok(await isSound(path, first.config.fleetBackupKeyFile))
    assert.deepEqual(await management.call('backup-begin', { backupId: BACKUP }), made)

    // Nor is anything sealed with a key that no other HSM has.
    await flip(first.config.fleetBackupKeyFile, chanceOf(SEED))
    const refused = { code: 'StorageFailed', message: /backup\.key is not the fleet backup key that it was/ }
    await assert.rejects(management.call('backup-begin', { backupId: 'backup-bbbbbbbbbbb' }), refused)
    await writeFile(first.config.fleetBackupKeyFile, pki.backupKey)
    await management.call('backup-begin', { backupId: 'backup-bbbbbbbbbbb' })
  } finally {
    await management.close()
    await first.stop()
  }
})
