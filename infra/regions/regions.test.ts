/** Two regions over real mutual TLS: the one that sends copies, and the one that takes them in. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { pino } from 'pino'
import { untilTrue } from '../../test/support/product.ts'
import { freshDatabase, type FreshDatabase } from '../../test/support/database.ts'
import { newBackupId, newClusterId, newCopyId, type AccountId, type CopyId } from '../../provider-schema/ids.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import { copyBackup } from '../../workers/jobs/copy-backup.ts'
import type { CopyAnnouncement, RegionPort } from '../../workers/jobs/ports.ts'
import { insertCopy } from '../../workers/jobs/testing/fixtures.ts'
import { simulatedWorld } from '../../workers/jobs/testing/simulated-world.ts'
import { Hopeless, perform } from '../../workers/jobs/transition.ts'
import { openBackupStore, type BackupStore } from '../backup-store/directory-store.ts'
import type { AccountPeers } from '../identity/level.ts'
import { issueControl, type ControlIdentity } from '../pki/control.ts'
import { openFleet, type Fleet } from '../pki/fleet.ts'
import { regionControlName } from '../pki/names.ts'
import { regionClient } from './client.ts'
import { copyReceiver, sweepLostCopies } from './receive-copies.ts'
import { serveRegions, type RegionServer } from './server.ts'
import { MAX_JSON_BYTES } from './wire.ts'

const HERE = 'us-east-1'
const THERE = 'eu-west-1'
const log = pino({ level: 'silent' })
const CONTENT = randomBytes(200_000)
const HALF = CONTENT.length / 2

let dir: string
let fleet: Fleet
let fresh: FreshDatabase
let database: Database
let store: BackupStore
let server: RegionServer
let here: RegionPort & AccountPeers & { close(): void }
let announced: Omit<CopyAnnouncement, 'sourceRegion' | 'copyId'>

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'regions-'))
  fleet = await openFleet(join(dir, 'fleet'))
  fresh = await freshDatabase()
  database = openDatabase({ url: fresh.url })
  store = await openBackupStore(join(dir, 'backups'))
  const receiver = copyReceiver(database, store, () => new Date(), log)
  const identity = await identityOf(THERE)
  const accounts = () => database.read.identity.load()
  server = await serveRegions({ host: '127.0.0.1', port: 0, identity, fleet, receiver, accounts, log })
  here = clientOf(await identityOf(HERE))
  const source = newBackupId()
  const { size, digest } = await (await openBackupStore(join(dir, 'source'))).put(source, Readable.from([CONTENT]))
  announced = {
    account: '000000000000',
    sourceBackup: source,
    sourceCluster: newClusterId(),
    hsmType: 'hsm2m.medium',
    mode: 'FIPS',
    createdAt: Date.UTC(2026, 0, 2),
    tags: { team: 'payments' },
    size,
    digest,
    clusterCertificate: null,
    trustAnchor: null,
  }
})
after(async () => {
  here.close()
  await server.close()
  await database.close()
  await fresh.drop()
  await rm(dir, { recursive: true, force: true })
})

const identityOf = (region: string, of: Fleet = fleet) => issueControl(of, regionControlName(region))

function clientOf(identity: ControlIdentity, region = HERE, peer = THERE) {
  const peers = () => new Map([[peer, { host: '127.0.0.1', port: server.port }]])
  return regionClient({ region, peers, identity, fleet })
}

const announce = (copyId: CopyId, differing: Partial<CopyAnnouncement> = {}) =>
  here.announceCopy(THERE, { ...announced, ...differing, copyId })

const send = (copyId: CopyId, offset = 0, bytes = CONTENT.subarray(offset)) =>
  here.sendCopy(THERE, copyId, offset, Readable.from([bytes]))

/** The backup of which copies are announced, in the source's own store and in the database. */
async function insertedSource(): Promise<{ backups: BackupStore }> {
  const { account, sourceBackup: id, sourceCluster: clusterId, hsmType, mode, size, digest } = announced
  const createdAt = new Date(announced.createdAt)
  const columns = { hsmType, mode, size, digest, createdAt, state: 'READY' } as const
  await database.read.backups.insert({ id, account: account as AccountId, clusterId, ...columns })
  return { backups: await openBackupStore(join(dir, 'source')) }
}

async function stateOf(copyId: CopyId): Promise<string | undefined> {
  return (await database.read.backups.findByCopy(copyId))?.state
}

test('a copy arrives whole, is READY, keeps what was announced of it, and each call may be repeated', async () => {
  const copyId = newCopyId()
  const first = await announce(copyId)
  assert.deepEqual([first.offset, first.done], [0, false])
  assert.deepEqual(await announce(copyId), first)
  await send(copyId)
  assert.deepEqual(await announce(copyId), { ...first, offset: CONTENT.length, done: true })
  await here.finishCopy(THERE, copyId)
  await here.finishCopy(THERE, copyId)
  const row = await database.read.backups.findByCopy(copyId)
  assert.deepEqual([row?.state, row?.sourceRegion, row?.sourceBackup], ['READY', HERE, announced.sourceBackup])
  assert.deepEqual(
    [row?.clusterId, row?.tags, row?.createdAt.getTime()],
    [announced.sourceCluster, { team: 'payments' }, announced.createdAt],
  )
  assert.deepEqual(await store.verify(first.backupId), { size: announced.size, digest: announced.digest })
})

test('announced twice at once, a copy gets one backup', async () => {
  const copyId = newCopyId()
  const answers = await Promise.all(Array.from({ length: 5 }, () => announce(copyId)))
  assert.equal(new Set(answers.map(({ backupId }) => backupId)).size, 1)
})

test('a transfer that broke off goes on where it was', async () => {
  const copyId = newCopyId()
  await announce(copyId)
  // It breaks off only once something has arrived: what is still on its way then is lost.
  const breaking = async function* () {
    yield CONTENT.subarray(0, HALF)
    const hasBegun = async () => (await announce(copyId)).offset > 0
    await untilTrue(hasBegun, { seconds: 10, what: () => 'nothing arrives' })
    throw new Error('the source went away')
  }
  await assert.rejects(here.sendCopy(THERE, copyId, 0, breaking()), /the source went away/)
  const { offset } = await announce(copyId)
  assert.ok(offset > 0 && offset <= HALF)
  await assert.rejects(send(copyId, offset + 1), /goes on at byte|refused/)
  await send(copyId, offset)
  await here.finishCopy(THERE, copyId)
  assert.equal(await stateOf(copyId), 'READY')
})

test('content that is not what was announced is refused, thrown away, and may come again', async () => {
  const copyId = newCopyId()
  const { backupId } = await announce(copyId)
  await send(copyId, 0, randomBytes(CONTENT.length))
  await assert.rejects(here.finishCopy(THERE, copyId), /is not what was announced/)
  assert.deepEqual([await stateOf(copyId), await store.received(backupId)], ['CREATE_IN_PROGRESS', 0])
  await send(copyId)
  await here.finishCopy(THERE, copyId)
  assert.equal(await stateOf(copyId), 'READY')
})

test('the job of a copy that is damaged on its way sends it again, and gives it up in the end', async () => {
  const { sourceBackup: id, sourceCluster: clusterId, size, digest } = announced
  const { backups } = await insertedSource()
  const damaging = (times: number): RegionPort => ({
    ...here,
    sendCopy: (region, copyId, offset, content) =>
      here.sendCopy(region, copyId, offset, times-- > 0 ? Readable.from([randomBytes(size)]) : content),
  })
  for (const [times, source, destination] of [
    [2, 'DONE', 'READY'],
    [3, 'FAILED', 'DELETED'],
  ] as const) {
    const copy = await insertCopy({ database }, id)
    const ports = { ...simulatedWorld().ports, backups, regions: damaging(times) }
    const { signal } = new AbortController()
    await perform(copyBackup, { copyId: copy.id }, { database, ports, log, signal, pace: 0, clock: () => new Date() })
    assert.equal((await database.read.copies.find(copy.id))?.state, source)
    const row = await database.read.backups.findByCopy(copy.id)
    assert.deepEqual([row?.state, row?.sourceCluster], [destination, clusterId])
    const bytes = row && (await store.verify(row.id))
    assert.deepEqual(bytes, destination === 'READY' ? { size, digest } : undefined)
    assert.equal(row && (await store.received(row.id)), destination === 'READY' ? size : 0)
  }
})

test('what a damaged disk added to a copy goes with it, and the copy may come again', async () => {
  const copyId = newCopyId()
  const { backupId } = await announce(copyId)
  await send(copyId)
  await appendFile(join(dir, 'backups', 'incoming', backupId), 'more')
  assert.equal((await announce(copyId)).done, true)
  await assert.rejects(here.finishCopy(THERE, copyId), /is not what was announced/)
  assert.deepEqual(await announce(copyId), { backupId, offset: 0, done: false })
})

test('finishing before all has arrived makes nothing READY; more than was announced is refused', async () => {
  const copyId = newCopyId()
  const { backupId } = await announce(copyId)
  await send(copyId, 0, CONTENT.subarray(0, HALF))
  await assert.rejects(here.finishCopy(THERE, copyId), /is not what was announced/)
  await assert.rejects(send(copyId, 0, Buffer.concat([CONTENT, CONTENT])))
  assert.equal(await stateOf(copyId), 'CREATE_IN_PROGRESS')
  assert.equal(await store.verify(backupId), undefined)
})

test('a copy cannot be announced again with other content', async () => {
  const copyId = newCopyId()
  await announce(copyId)
  await assert.rejects(announce(copyId, { digest: '0'.repeat(64) }), /announced with other content/)
  await assert.rejects(announce(copyId, { size: 1 }), /announced with other content/)
})

test('a copy that is given up is DELETED, its bytes are gone, and it cannot be taken up again', async () => {
  const copyId = newCopyId()
  const { backupId } = await announce(copyId)
  await send(copyId, 0, CONTENT.subarray(0, HALF))
  await here.abandonCopy(THERE, copyId, 'the backup is damaged')
  await here.abandonCopy(THERE, copyId, 'again')
  assert.deepEqual([await stateOf(copyId), await store.received(backupId)], ['DELETED', 0])
  await assert.rejects(
    announce(copyId),
    (error) => error instanceof Hopeless && /the copy is DELETED/.test(error.message),
  )
})

test('bytes that outlived the end of a copy go when its source gives it up again', async () => {
  const copyId = newCopyId()
  const { backupId } = await announce(copyId)
  await here.abandonCopy(THERE, copyId, 'the backup is damaged')
  await store.receive(backupId, 0, CONTENT.length, Readable.from([CONTENT.subarray(0, HALF)]))
  assert.equal(await store.received(backupId), HALF)
  await here.abandonCopy(THERE, copyId, 'again')
  assert.equal(await store.received(backupId), 0)
})

test('copies whose source was never heard of again are given up, others are not', async () => {
  const [lost, young] = [newCopyId(), newCopyId()]
  await announce(lost)
  await announce(young)
  await database.pool.query("update backups set deadline = now() - interval '1 second' where copy_id = $1", [lost])
  await sweepLostCopies(database, store)
  assert.deepEqual([await stateOf(lost), await stateOf(young)], ['DELETED', 'CREATE_IN_PROGRESS'])
})

test('another region cannot touch a copy that it did not announce, nor announce one in a foreign name', async () => {
  const copyId = newCopyId()
  await announce(copyId)
  const other = clientOf(await identityOf('ap-south-1'), 'ap-south-1')
  const liar = clientOf(await identityOf('ap-south-1'), HERE)
  try {
    await assert.rejects(other.sendCopy(THERE, copyId, 0, Readable.from([CONTENT])), /refused: no such copy/)
    await assert.rejects(other.finishCopy(THERE, copyId), /no such copy/)
    await assert.rejects(other.abandonCopy(THERE, copyId, ''), /no such copy/)
    await assert.rejects(liar.announceCopy(THERE, { ...announced, copyId: newCopyId() }), /the caller is ap-south-1/)
  } finally {
    other.close()
    liar.close()
  }
  assert.equal(await stateOf(copyId), 'CREATE_IN_PROGRESS')
})

test('who is no region of this fleet gets no answer to anything', async () => {
  const foreign = await openFleet(join(dir, 'foreign'))
  const stranger = clientOf(await identityOf(HERE, foreign))
  const host = clientOf(await issueControl(fleet, 'host-1'))
  const before_ = await countOfBackups()
  try {
    await assert.rejects(stranger.announceCopy(THERE, { ...announced, copyId: newCopyId() }), /could not be asked/)
    await assert.rejects(host.announceCopy(THERE, { ...announced, copyId: newCopyId() }), /the caller is no region/)
    await assert.rejects(ask({ method: 'POST', path: '/copies' }, '{}'), 'without a certificate')
  } finally {
    stranger.close()
    host.close()
  }
  assert.deepEqual(await countOfBackups(), before_)
})

test('a destination that is another region than was asked for is sent nothing', async () => {
  const misled = clientOf(await identityOf(HERE), HERE, 'eu-central-1')
  const before_ = await countOfBackups()
  try {
    const copy = { ...announced, copyId: newCopyId() }
    await assert.rejects(misled.announceCopy('eu-central-1', copy), /who answers is not eu-central-1/)
    await assert.rejects(misled.announceCopy('ap-south-1', copy), /ap-south-1 is not known here/)
  } finally {
    misled.close()
  }
  assert.deepEqual(await countOfBackups(), before_)
})

test('accounts are told to a region that has older ones, to nobody else', async () => {
  const stored = { revision: 4, stamp: 'four', directory: { accounts: [] } }
  await database.read.identity.replace(stored, new Date())
  assert.deepEqual(await here.newerAccounts(THERE, { revision: 3, stamp: 'zzz' }), stored)
  assert.deepEqual(await here.newerAccounts(THERE, { revision: 0, stamp: '' }), stored)
  assert.equal(await here.newerAccounts(THERE, { revision: 4, stamp: 'four' }), undefined)
  assert.equal(await here.newerAccounts(THERE, { revision: 5, stamp: 'a' }), undefined)
  const host = clientOf(await issueControl(fleet, 'host-1'))
  try {
    await assert.rejects(host.newerAccounts(THERE, { revision: 0, stamp: '' }), /the caller is no region/)
  } finally {
    host.close()
  }
})

test('what is not the protocol is refused in a sentence', async () => {
  const { keyPem: key, chain: cert } = await identityOf(HERE)
  const as = (method: string, path: string, body = '') => ask({ method, path, key, cert }, body)
  const copyId = newCopyId()
  await announce(copyId)
  assert.deepEqual(await as('GET', '/'), [404, { error: 'no such path' }])
  assert.deepEqual(await as('POST', '/copies', '{}'), [400, { error: 'not an announcement of a copy' }])
  assert.equal((await as('POST', '/copies', '{'))[0], 400)
  assert.deepEqual(await as('POST', '/copies', ' '.repeat(MAX_JSON_BYTES + 1)), [
    400,
    { error: 'the body is too long' },
  ])
  assert.deepEqual(await as('PUT', `/copies/${copyId}?offset=-1`), [400, { error: 'not an offset' }])
  assert.deepEqual(await as('GET', '/accounts?revision=x&stamp='), [400, { error: 'not a version of accounts' }])
  assert.deepEqual(await as('PUT', `/copies/${copyId}`), [400, { error: 'not an offset' }])
  assert.deepEqual(await as('POST', '/copies/..%2f..%2fetc/finish'), [404, { error: 'no such copy' }])
  assert.deepEqual(await as('POST', `/copies/${copyId}/steal`), [404, { error: 'no such path' }])
  assert.deepEqual(await as('POST', `/copies/${newCopyId()}/finish`), [404, { error: 'no such copy' }])
})

async function countOfBackups(): Promise<unknown> {
  return (await database.pool.query('select count(*)::int as n from backups')).rows[0]
}

/** One request as anybody could make it; status and body. */
async function ask(options: RequestOptions, body: string): Promise<[number | undefined, unknown]> {
  const target = { ...options, host: '127.0.0.1', port: server.port, agent: false, rejectUnauthorized: false }
  const request = httpsRequest(target)
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  request.end(body)
  const [response] = await answered
  const text = Buffer.concat(await response.toArray()).toString()
  return [response.statusCode, JSON.parse(text)]
}
