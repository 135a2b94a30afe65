/** Room on the disk for what LMDB is going to write. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { open, type RootDatabase } from 'lmdb'
import { chanceOf } from '../../../test/support/chance.ts'
import { smallDisk, whyNoSmallDisk } from '../testing/small-disk.ts'
import { StoreRoom } from './store-room.ts'

/** By hand: other commits, and more of them. */
const SEED = Number(process.env['STRONGROOM_ROOM_SEED'] ?? 20_261_129)
const COMMITS = Number(process.env['STRONGROOM_ROOM_COMMITS'] ?? 300)
const noDisk = whyNoSmallDisk()

async function inStore(
  directory: string,
  work: (store: {
    database: RootDatabase<Buffer, string>
    room: StoreRoom
    bytes: () => Promise<number>
  }) => Promise<void>,
): Promise<void> {
  const database: RootDatabase<Buffer, string> = open({ path: directory, encoding: 'binary', overlappingSync: false })
  const room = await StoreRoom.open(directory, database)
  try {
    await work({ database, room, bytes: async () => (await stat(join(directory, 'data.mdb'))).size })
  } finally {
    await room.close()
    await database.close()
  }
}

test(`LMDB writes into the room that was taken for a commit, and never behind it (seed ${SEED})`, async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'room-'))
  context.after(() => rm(directory, { recursive: true }))
  const chance = chanceOf(SEED)
  const upTo = (most: number) => 1 + Math.floor(chance() * most)
  await inStore(directory, async ({ database, room, bytes }) => {
    for (let commit = 0; commit < COMMITS; commit++) {
      const length = upTo([60, 900, 9_000][commit % 3] ?? 0)
      const names = Array.from({ length: upTo(chance() < 0.2 ? 2_000 : 8) }, () => `${upTo(20_000)}`.repeat(upTo(12)))
      await room.take(names.length, names.length * length)
      const before = await bytes()
      await database.childTransaction(() => {
        for (const name of names) {
          if (chance() < 0.25) database.removeSync(name)
          else database.putSync(name, Buffer.alloc(length))
        }
      })
      assert.equal(await bytes(), before, `commit ${commit}: ${names.length} of ${length} bytes`)
    }
    assert.ok(database.getKeysCount() > COMMITS)
  })
})

test('on a full disk there is none, and the store is no longer for it', { skip: noDisk ?? false }, async (context) => {
  const disk = await smallDisk('4m')
  context.after(() => disk.dispose())
  await inStore(join(disk.path, 'store'), async ({ room, bytes }) => {
    await room.take(1, 100)
    await disk.fill()
    const before = await bytes()
    // What is there still serves.
    await room.take(1, 100)
    await assert.rejects(room.take(1, 1024 * 1024), { code: 'ENOSPC' })
    assert.equal(await bytes(), before)
    await disk.free()
    await room.take(1, 1024 * 1024)
    assert.ok((await bytes()) > before)
  })
})
