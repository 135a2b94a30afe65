import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { encodeIdentity, decodeIdentity, IDENTITY_PATH, type IdentityRecord } from '../identity/cluster-identity.ts'
import { MemoryStore } from '../replication/testing/memory-store.ts'
import { digestOf } from './digest.ts'
import {
  beginBackup,
  CHUNK_BYTES,
  headerBytes,
  PREFIX_BYTES,
  sealChunk,
  TAG_BYTES,
  WRAPPED_KEY_BYTES,
} from './format.ts'
import { encodeRecord } from './records.ts'
import { restoreBackup } from './restore.ts'
import { writeBackup } from './write-backup.ts'

const CLUSTER = { clusterId: 'cluster-restored', hsmType: 'hsm2m.medium', mode: 'FIPS' } as const
const FIXTURE = new URL('./fixtures/', import.meta.url)

let dir: string
let keyFile: string
let source: MemoryStore
let identity: IdentityRecord
let good: Buffer
let files = 0

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'backup-'))
  keyFile = join(dir, 'backup.key')
  await writeFile(keyFile, randomBytes(32))
  identity = someIdentity()
  source = await filledStore(identity)
  good = await backupOf(source)
})
after(() => rm(dir, { recursive: true, force: true }))

function someIdentity(): IdentityRecord {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    clusterId: 'cluster-source',
    hsmType: 'hsm2m.medium',
    mode: 'FIPS',
    maskingKey: randomBytes(32),
    clusterKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
    csr: 'request',
    clusterCertificate: 'certificate',
    trustAnchor: 'anchor',
  }
}

const SECRET = 'never-to-be-seen-outside'

/** More than two chunks of records, one of them deleted. */
async function filledStore(of: IdentityRecord): Promise<MemoryStore> {
  const store = new MemoryStore('hsm-source')
  await store.write([{ path: IDENTITY_PATH, value: encodeIdentity(of) }])
  await store.write([{ path: 'users/alice', value: Buffer.from(`password record ${SECRET}`) }])
  for (let i = 0; i < 60; i += 1) await store.write([{ path: `keys/${i}`, value: randomBytes(3000) }])
  await store.write([{ path: 'keys/7', value: undefined }])
  return store
}

async function backupOf(store: MemoryStore): Promise<Buffer> {
  const path = join(dir, `made-${(files += 1)}`)
  const { size } = await writeBackup({ path, fleetBackupKeyFile: keyFile, identity, store })
  const bytes = await readFile(path)
  assert.equal(bytes.length, size)
  return bytes
}

interface Attempt {
  readonly key?: string
  readonly announced?: { readonly size?: number; readonly digest?: string }
  readonly mode?: 'FIPS' | 'NON_FIPS'
  readonly store?: MemoryStore
}

/** Restores bytes, announced as what they are unless said otherwise. */
async function restore(bytes: Uint8Array, { key = keyFile, announced, mode, store }: Attempt = {}) {
  const path = join(dir, `restored-${(files += 1)}`)
  await writeFile(path, bytes)
  const file = await open(path)
  const real = await digestOf(file).finally(() => file.close())
  const target = store ?? new MemoryStore('hsm-target')
  try {
    const restored = await restoreBackup({
      ...real,
      ...announced,
      path,
      fleetBackupKeyFile: key,
      store: target,
      cluster: { ...CLUSTER, ...(mode && { mode }) },
      verified: () => Promise.resolve(),
    })
    return { restored, target }
  } finally {
    await rm(path)
  }
}

async function refuses(bytes: Uint8Array, why: RegExp, attempt: Attempt = {}): Promise<void> {
  const store = new MemoryStore('hsm-target')
  await assert.rejects(restore(bytes, { ...attempt, store }), { code: 'BackupInvalid', message: why })
  assert.deepEqual([...store.list('', { tombstones: true })], [], 'the HSM is as blank as before')
}

const contentOf = (store: MemoryStore) =>
  [...store.list('')]
    .filter(({ path }) => path !== IDENTITY_PATH)
    .map(({ path, version, value }) => ({ path, version, value: Buffer.from(value ?? []).toString('hex') }))

test('all live records come back as they were, with their versions; what was deleted does not', async () => {
  const { target } = await restore(good)
  assert.equal(contentOf(target).length, 60)
  assert.deepEqual(contentOf(target), contentOf(source))
  assert.equal(target.get('keys/7'), undefined)
})

test('the new cluster keeps key pair and certificates, and gets an id and a masking key of its own', async () => {
  const { restored, target } = await restore(good)
  const { maskingKey, ...rest } = decodeIdentity(target.get(IDENTITY_PATH)?.value ?? new Uint8Array())
  assert.deepEqual(
    { ...rest, clusterKey: Buffer.from(rest.clusterKey) },
    {
      ...CLUSTER,
      clusterKey: identity.clusterKey,
      csr: 'request',
      clusterCertificate: 'certificate',
      trustAnchor: 'anchor',
    },
  )
  assert.deepEqual(Buffer.from(restored.maskingKey), Buffer.from(maskingKey))
  assert.ok(!Buffer.from(maskingKey).equals(identity.maskingKey))
})

test('restoring twice over the same store is the same as once', async () => {
  const { target } = await restore(good)
  await restore(good, { store: target })
  assert.deepEqual(contentOf(target), contentOf(source))
})

test('a backup shows neither users nor keys, and no two are alike', async () => {
  for (const clear of [SECRET, 'alice', 'users/', Buffer.from(identity.clusterKey)]) {
    assert.equal(good.includes(clear), false)
  }
  const again = await backupOf(source)
  assert.equal(again.length, good.length)
  assert.ok(!again.subarray(-1000).equals(good.subarray(-1000)))
})

test('any flipped bit is noticed', async () => {
  const position = fc.oneof(fc.nat(good.length - 1), fc.nat(700))
  await fc.assert(
    fc.asyncProperty(position, fc.nat(7), async (at, bit) => {
      const altered = Buffer.from(good)
      altered.writeUInt8(altered.readUInt8(at) ^ (1 << bit), at)
      await refuses(altered, /^the backup (is|was|has) /)
    }),
    { numRuns: 150 },
  )
})

test('a backup cut off anywhere is noticed', async () => {
  const length = fc.oneof(fc.nat(good.length - 1), fc.nat(700), fc.constantFrom(65_552, 131_104, good.length - 1))
  await fc.assert(
    fc.asyncProperty(length, async (kept) => {
      await refuses(good.subarray(0, kept), /^the backup (is|was) /)
    }),
    { numRuns: 100 },
  )
})

test('what was appended, left out or moved is noticed', async () => {
  await refuses(Buffer.concat([good, Buffer.from([0])]), /altered or cut short/)
  await refuses(Buffer.concat([good, good]), /altered or cut short/)
  const sealed = CHUNK_BYTES + TAG_BYTES
  const start = PREFIX_BYTES + headerBytes(good) + WRAPPED_KEY_BYTES
  assert.ok(good.length > start + 2 * sealed)
  const chunk = (index: number) => good.subarray(start + index * sealed, start + (index + 1) * sealed)
  const rest = good.subarray(start + 2 * sealed)
  await refuses(Buffer.concat([good.subarray(0, start), chunk(1), chunk(0), rest]), /part 0 fails its seal/)
  await refuses(Buffer.concat([good.subarray(0, start), chunk(0), rest]), /part 1 fails its seal/)
  await refuses(Buffer.concat([good.subarray(0, start), chunk(0), chunk(0), rest]), /part 1 fails its seal/)
})

test('a backup of another fleet is told from a damaged one', async () => {
  const other = join(dir, 'other.key')
  await writeFile(other, randomBytes(32))
  await refuses(good, /^the backup was sealed by another fleet$/, { key: other })
})

test('other formats and modes are refused by name', async () => {
  await refuses(Buffer.from('PK\u0003\u0004 surely a zip file'), /^the backup is not a backup$/)
  const later = Buffer.from(good)
  later.writeUInt16BE(2, 4)
  await refuses(later, /^the backup has format 2, which this software does not know$/)
  await refuses(good, /was made in FIPS mode and the cluster is in NON_FIPS mode$/, { mode: 'NON_FIPS' })
})

test('what is not as it was announced is told from a backup that is bad: it may be sent anew', async () => {
  for (const announced of [{ size: 1 }, { digest: '0'.repeat(64) }]) {
    const store = new MemoryStore('hsm-target')
    const expected = {
      code: 'StorageFailed',
      message: /instead of 1: it was damaged|digest that was announced: it was/,
    }
    await assert.rejects(restore(good, { announced, store }), expected)
    assert.deepEqual([...store.list('', { tombstones: true })], [])
  }
})

/** A backup that whoever knows the fleet key could make: its seals hold, its content is as given. */
async function forged(content: Buffer, records: number): Promise<Buffer> {
  const about = { clusterId: 'c', hsmType: 'hsm2m.medium', mode: 'FIPS', createdAt: '2026-01-01', records } as const
  const { preamble, key } = beginBackup(await readFile(keyFile), about)
  return Buffer.concat([preamble, sealChunk(key, 0, true, content)])
}

test('content that holds no cluster, or is no sequence of records, is refused though its seals hold', async () => {
  const version = { counter: 1, hsmId: 'hsm-a' }
  const user = encodeRecord({ path: 'users/a', version, value: new Uint8Array([1]) })
  const nobody = encodeRecord({ path: IDENTITY_PATH, version, value: new Uint8Array([1]) })
  await refuses(await forged(user, 1), /holds no cluster$/)
  await refuses(await forged(nobody, 1), /its cluster identity cannot be read$/)
  await refuses(await forged(user, 2), /holds 1 records instead of 2$/)
  await refuses(await forged(user.subarray(0, -1), 1), /its last record is incomplete$/)
  await refuses(await forged(Buffer.from([0, 0, 0, 1, 0xc1]), 1), /a record in it cannot be read$/)
  await refuses(await forged(Buffer.from([0xff, 0, 0, 0]), 1), /a record in it is too long$/)
})

test('a backup that cannot be written leaves nothing', async () => {
  const path = join(dir, 'missing', 'backup')
  const options = { path, fleetBackupKeyFile: keyFile, identity, store: source }
  await assert.rejects(writeBackup(options), { code: 'StorageFailed' })
  const short = join(dir, 'short.key')
  await writeFile(short, randomBytes(31))
  const before_ = await readdir(dir)
  const unsealed = { ...options, path: join(dir, 'unsealed'), fleetBackupKeyFile: short }
  await assert.rejects(writeBackup(unsealed), { code: 'StorageFailed', message: /does not have 32 bytes/ })
  assert.deepEqual(await readdir(dir), before_)
})

test('a backup in format 1 restores for ever', async () => {
  const bytes = await readFile(new URL('version-1.backup', FIXTURE))
  const key = new URL('version-1.test-only-fleet.key', FIXTURE).pathname
  const { restored, target } = await restore(bytes, { key })
  assert.equal(restored.clusterCertificate, 'certificate of the fixture')
  assert.deepEqual(
    contentOf(target).map(({ path, version, value }) => [path, version.counter, Buffer.from(value, 'hex').toString()]),
    [
      ['keys/0000000000000001', 3, 'a key record'],
      ['users/alice', 2, 'a user record'],
    ],
  )
})
