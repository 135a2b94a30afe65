import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { eq } from 'drizzle-orm'
import { copies } from '../../migrations/schema.ts'
import type { BackupId, CopyId } from '../../provider-schema/ids.ts'
import { copyBackup } from './copy-backup.ts'
import { bench, insertCopy, type Bench } from './testing/fixtures.ts'
import { readyBackup } from './testing/ready-backup.ts'
import { TRIALS, untilFinished } from './testing/trials.ts'
import type { JobContext } from './transition.ts'

let b: Bench
before(async () => (b = await bench()))
after(() => b.close())

const CONTENT = '["key"]'

async function copyToMake(): Promise<{ id: CopyId; backupId: BackupId }> {
  const { backup } = await readyBackup(b, ['key'])
  assert.equal(b.world.store.get(backup.id)?.toString(), CONTENT)
  return insertCopy(b, backup.id)
}

const copyNow = (id: CopyId) => b.database.read.copies.find(id)

/** What the source and the destination show of a copy at the end. */
async function endOf(id: CopyId) {
  const now = await copyNow(id)
  const arrived = b.world.copies.get(id)
  return {
    source: now?.state,
    because: now?.stateMessage,
    destination: arrived?.state,
    bytes: arrived?.bytes.toString(),
  }
}

async function set(id: CopyId, columns: Partial<typeof copies.$inferInsert>): Promise<void> {
  await b.database.sql.update(copies).set(columns).where(eq(copies.id, id))
}

type Damage = (piece: Uint8Array) => Uint8Array

/** A way to the other region on which the first so many transfers are damaged; `sends` tells from where each began. */
function damagingWay(times: number, damage: Damage = (piece) => piece.map((byte) => byte ^ 1)) {
  const { regions } = b.ctx.ports
  const sends: number[] = []
  const sendCopy: typeof regions.sendCopy = async (region, id, offset, content) => {
    sends.push(offset)
    const isDamaged = sends.length <= times
    await regions.sendCopy(region, id, offset, isDamaged ? damaged(content, damage) : content)
  }
  return { sends, ctx: { ...b.ctx, ports: { ...b.ctx.ports, regions: { ...regions, sendCopy } } } satisfies JobContext }
}

async function* damaged(content: AsyncIterable<Uint8Array>, damage: Damage) {
  for await (const piece of content) yield damage(piece)
}

describe('a copy of a backup whose own file', () => {
  const SPOILED = {
    'was tampered with': (id: BackupId) => b.world.store.set(id, Buffer.from('["kez"]')),
    'was truncated': (id: BackupId) => b.world.store.set(id, Buffer.from('["k')),
    'has grown': (id: BackupId) => b.world.store.set(id, Buffer.from(`${CONTENT} `)),
    'is missing': (id: BackupId) => b.world.store.delete(id),
  }
  for (const [what, spoil] of Object.entries(SPOILED)) {
    test(`${what} fails at once, in both regions, and not a byte of it was sent`, async () => {
      const { id, backupId } = await copyToMake()
      spoil(backupId)
      const { ctx, sends } = damagingWay(0)
      await untilFinished(copyBackup, { copyId: id }, ctx)
      const because = `The content of ${backupId} is ${what === 'is missing' ? 'missing' : 'damaged'}.`
      assert.deepEqual(await endOf(id), { source: 'FAILED', because, destination: 'DELETED', bytes: '' })
      assert.deepEqual(sends, [])
    })
  }

  test('is damaged while it is sent is not sent again', async () => {
    const { id, backupId } = await copyToMake()
    const { ctx, sends } = damagingWay(1, (piece) => {
      b.world.store.set(backupId, Buffer.from('["kez"]'))
      return piece.subarray(1)
    })
    await untilFinished(copyBackup, { copyId: id }, ctx)
    const because = `The content of ${backupId} is damaged.`
    assert.deepEqual(await endOf(id), { source: 'FAILED', because, destination: 'DELETED', bytes: '' })
    assert.deepEqual(sends, [0])
  })
})

describe('a copy whose content was damaged on its way', () => {
  for (const trial of TRIALS) {
    test(`once is sent again and arrives whole, ${trial.name}`, async () => {
      const { id } = await copyToMake()
      const { ctx, sends } = damagingWay(1)
      await trial.run(copyBackup, { copyId: id }, ctx)
      assert.deepEqual(await endOf(id), { source: 'DONE', because: null, destination: 'READY', bytes: CONTENT })
      assert.deepEqual(sends, [0, 0])
    })

    test(`each time is sent three times, then fails in both regions, ${trial.name}`, async () => {
      const { id } = await copyToMake()
      const { ctx, sends } = damagingWay(Infinity)
      await trial.run(copyBackup, { copyId: id }, ctx)
      const because = 'What arrived in eu-west-1 was not what was sent, 3 times.'
      assert.deepEqual(await endOf(id), { source: 'FAILED', because, destination: 'DELETED', bytes: '' })
      assert.deepEqual(sends, [0, 0, 0])
    })
  }

  test('so that its end is missing gets the end', async () => {
    const { id } = await copyToMake()
    const { ctx, sends } = damagingWay(1, (piece) => piece.subarray(0, 3))
    await untilFinished(copyBackup, { copyId: id }, ctx)
    assert.deepEqual(await endOf(id), { source: 'DONE', because: null, destination: 'READY', bytes: CONTENT })
    assert.deepEqual(sends, [0, 3])
  })

  test('before its job came to its end is sent again by whoever takes that job up', async () => {
    const { id } = await copyToMake()
    await set(id, { step: 'finish' })
    const { ctx, sends } = damagingWay(0)
    await untilFinished(copyBackup, { copyId: id }, ctx)
    assert.deepEqual(await endOf(id), { source: 'DONE', because: null, destination: 'READY', bytes: CONTENT })
    assert.deepEqual(sends, [0])
  })
})

describe('a copy that is not made by its deadline', () => {
  test('fails with the reason, and the destination forgets what it had of it', async () => {
    const { id } = await copyToMake()
    const { ctx } = damagingWay(1, (piece) => piece.subarray(0, 3))
    b.world.failNext('finishCopy', 1_000)
    await set(id, { deadline: new Date(Date.now() + 1_000) })
    await untilFinished(copyBackup, { copyId: id }, ctx)
    b.world.failNext('finishCopy', 0)
    const because = 'simulated failure of finishCopy'
    assert.deepEqual(await endOf(id), { source: 'FAILED', because, destination: 'DELETED', bytes: '' })
  })

  test('fails as well while the destination cannot be told', async () => {
    const { id } = await copyToMake()
    await set(id, { deadline: new Date(Date.now() - 1) })
    b.world.failNext('abandonCopy')
    await untilFinished(copyBackup, { copyId: id }, b.ctx)
    assert.equal((await copyNow(id))?.state, 'FAILED')
    assert.equal((await copyNow(id))?.stateMessage, 'it took too long')
  })
})
