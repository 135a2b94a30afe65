import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test, type TestContext } from 'node:test'
import { newBackupId, type BackupId } from '../../provider-schema/ids.ts'
import { openBackupStore } from './directory-store.ts'

async function directory(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'backup-store-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

const pieces = (...content: Uint8Array[]): AsyncIterable<Uint8Array> => Readable.from(content)

async function bytesOf(content: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of content) all.push(piece)
  return Buffer.concat(all)
}

/** Everything below a directory that is a file. */
async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

const CONTENT = randomBytes(300_000)
const HALF = CONTENT.length / 2
const [FIRST_HALF, SECOND_HALF] = [CONTENT.subarray(0, HALF), CONTENT.subarray(HALF)]

test('a backup that was put is read back, whole and from any offset, also after the store is opened again', async (t) => {
  const dir = await directory(t)
  const id = newBackupId()
  const stored = await (await openBackupStore(dir)).put(id, pieces(FIRST_HALF, SECOND_HALF))
  assert.equal(stored.size, CONTENT.length)
  const again = await openBackupStore(dir)
  assert.deepEqual(await again.verify(id), stored)
  assert.ok((await bytesOf(again.read(id))).equals(CONTENT))
  assert.ok((await bytesOf(again.read(id, 12_345))).equals(CONTENT.subarray(12_345)))
})

test('of a put that breaks off nothing is left', async (t) => {
  const dir = await directory(t)
  const store = await openBackupStore(dir)
  const id = newBackupId()
  const breaking = async function* () {
    yield FIRST_HALF
    await Promise.reject(new Error('the HSM went away'))
  }
  await assert.rejects(store.put(id, breaking()), {
    message: `the backup ${id} could not be stored: the HSM went away`,
  })
  assert.equal(await store.verify(id), undefined)
  assert.deepEqual(await filesIn(dir), [])
})

test('a full disk is named as such', async (t) => {
  const store = await openBackupStore(await directory(t))
  const full = async function* () {
    yield FIRST_HALF
    await Promise.reject(Object.assign(new Error('write'), { code: 'ENOSPC' }))
  }
  await assert.rejects(store.put(newBackupId(), full()), /could not be stored: the disk is full$/)
})

test('what a killed process left of a put goes when the store is opened; what had arrived of a copy stays', async (t) => {
  const dir = await directory(t)
  const store = await openBackupStore(dir)
  const [put, copy] = [newBackupId(), newBackupId()]
  await writeFile(join(dir, 'incoming', `${put}.put`), FIRST_HALF)
  await store.receive(copy, 0, CONTENT.length, pieces(FIRST_HALF))
  const again = await openBackupStore(dir)
  assert.deepEqual(await filesIn(dir), [copy])
  assert.equal(await again.received(copy), HALF)
})

test('a truncated and a tampered file are told from the one that was stored', async (t) => {
  const dir = await directory(t)
  const store = await openBackupStore(dir)
  const id = newBackupId()
  const stored = await store.put(id, pieces(CONTENT))
  const path = join(dir, id)
  const bytes = await readFile(path)
  bytes.writeUInt8(bytes.readUInt8(HALF) ^ 1, HALF)
  await writeFile(path, bytes)
  const tampered = await store.verify(id)
  assert.equal(tampered?.size, stored.size)
  assert.notEqual(tampered.digest, stored.digest)
  await truncate(path, HALF)
  assert.equal((await store.verify(id))?.size, HALF)
})

test('a copy goes on where it was, and only there', async (t) => {
  const dir = await directory(t)
  const store = await openBackupStore(dir)
  const expected = await store.put(newBackupId(), pieces(CONTENT))
  const id = newBackupId()
  assert.equal(await store.received(id), 0)
  const breaking = async function* () {
    yield FIRST_HALF
    await Promise.reject(new Error('the line broke'))
  }
  await assert.rejects(store.receive(id, 0, CONTENT.length, breaking()), /the line broke/)
  const again = await openBackupStore(dir)
  assert.equal(await again.received(id), HALF)
  for (const offset of [0, HALF - 1, HALF + 1]) {
    await assert.rejects(again.receive(id, offset, CONTENT.length, pieces(SECOND_HALF)), /goes on at byte 150000/)
  }
  await again.receive(id, HALF, CONTENT.length, pieces(SECOND_HALF))
  assert.equal(await again.verify(id), undefined, 'it is no backup before it was accepted')
  await again.accept(id, expected)
  await again.accept(id, expected)
  assert.deepEqual(await again.verify(id), expected)
  assert.equal(await again.received(id), CONTENT.length)
})

test('more than was announced is refused, and other content than was announced is thrown away', async (t) => {
  const dir = await directory(t)
  const store = await openBackupStore(dir)
  const id = newBackupId()
  await assert.rejects(store.receive(id, 0, HALF, pieces(FIRST_HALF, SECOND_HALF)), /more than the 150000 bytes/)
  assert.equal(await store.received(id), HALF)
  const announced = { size: HALF, digest: '0'.repeat(64) }
  await assert.rejects(store.accept(id, announced), /is not what was announced/)
  assert.deepEqual(await filesIn(dir), [])
  await assert.rejects(store.accept(id, announced), /is not what was announced/)
})

test('a removed backup is gone, arrived or not, and may be removed again', async (t) => {
  const dir = await directory(t)
  const store = await openBackupStore(dir)
  const [whole, arriving] = [newBackupId(), newBackupId()]
  await store.put(whole, pieces(CONTENT))
  await store.receive(arriving, 0, CONTENT.length, pieces(FIRST_HALF))
  for (const id of [whole, arriving, arriving]) await store.remove(id)
  assert.deepEqual(await filesIn(dir), [])
})

test('what is no id of a backup never becomes a path', async (t) => {
  const store = await openBackupStore(await directory(t))
  for (const id of ['../../etc/passwd', 'backup-', '', 'backup-aaaaaaaaaaa/../x', 'incoming'] as BackupId[]) {
    await assert.rejects(store.put(id, pieces(CONTENT)), /not the id of a backup/)
    await assert.rejects(async () => store.remove(id), /not the id of a backup/)
    await assert.rejects(async () => bytesOf(store.read(id)), /not the id of a backup/)
  }
})
