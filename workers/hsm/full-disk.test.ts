/** A disk that is full while an HSM joins, is restored or is backed up: refused with the reason, and whole once there is room. */
import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { untilTrue } from '../../test/support/product.ts'
import { SPOOLS } from './backup/spool.ts'
import type { Connection } from './protocol/connection.ts'
import { BACKUP_CHUNK_BYTES, type ManagementOperations } from './protocol/management-operations.ts'
import { activatedCluster, aliceOn } from './testing/activated.ts'
import { managing, startHsmProcess, type HsmProcess, type TestCluster } from './testing/process.ts'
import { smallDisk, whyNoSmallDisk, type SmallDisk } from './testing/small-disk.ts'

type Management = Connection<ManagementOperations>
const skip = whyNoSmallDisk() ?? false
/** More than what the audit log holds back for itself on the disk. */
const KEYS = 2_000
const BACKUP = 'backup-aaaaaaaaaaa'
const REFUSED = { code: 'StorageFailed', message: /[Ff]ree some space/ }

let cluster: TestCluster
let disk: SmallDisk
let hsm: HsmProcess

before(async () => {
  if (skip !== false) return
  cluster = await activatedCluster()
  const alice = await aliceOn(cluster)
  const make = (i: number) =>
    alice.call('key-generate-aes', {
      lengthBytes: 32,
      attributes: { label: `${i}`.padEnd(120, '-') },
      requireTwoCopies: false,
    })
  await Promise.all(Array.from({ length: KEYS }, (_, i) => make(i)))
  await alice.close()
  disk = await smallDisk('24m')
})
after(async () => {
  if (skip !== false) return
  await cluster.first.dispose()
  await disk.dispose()
})

async function onSmallDisk(work: (management: Management) => Promise<void>): Promise<void> {
  hsm = await disk.within(() => startHsmProcess({ pki: cluster.pki }))
  const management = await hsm.management()
  try {
    await work(management)
  } finally {
    await management.close()
    await disk.free()
    await hsm.dispose()
  }
}

/** Tries as a job does: again until it works. */
async function untilDone<Result>(work: () => Promise<Result>): Promise<Result> {
  const results: Result[] = []
  const trouble: string[] = []
  const attempt = async () => {
    try {
      results.push(await work())
      return true
    } catch (error) {
      assert.ok(error instanceof Error && 'code' in error && error.code === 'StorageFailed', String(error))
      trouble.push(error.message)
      return false
    }
  }
  await untilTrue(attempt, { seconds: 60, what: () => trouble.join('\n'), everyMs: 200 })
  const [result] = results
  assert.ok(result !== undefined)
  return result
}

async function assertServesNobody(management: Management): Promise<void> {
  assert.equal((await management.call('health', {})).phase, 'blank')
  await assert.rejects(hsm.client(cluster.customer.certificate))
}

async function assertHasAll(management: Management): Promise<void> {
  const { phase, keys } = await management.call('health', {})
  assert.deepEqual({ phase, keys }, { phase: 'active', keys: KEYS })
  const client = await aliceOn({ ...cluster, first: hsm })
  assert.equal((await client.call('key-find', { filter: {}, limit: 1 })).total, KEYS)
  await client.close()
}

test(
  'one that joins on a full disk stays blank, and joins when there is room; then it is backed up likewise, and zeroised all the same',
  { skip },
  () =>
    onSmallDisk(async (management) => {
      const members = [cluster.first.member, hsm.member]
      const membership = cluster.pki.signMembership({ clusterId: cluster.clusterId, epoch: 2, members })
      const first = await cluster.first.management()
      await first.call('membership', membership)
      await first.close()
      const join_ = () => management.call('join', { clusterId: cluster.clusterId, membership })
      await disk.fill()
      for (let i = 0; i < 3; i++) {
        await assert.rejects(join_(), REFUSED)
        await assertServesNobody(management)
      }
      await disk.free()
      assert.equal((await untilDone(join_)).phase, 'active')
      await assertHasAll(management)

      await disk.fill()
      await assert.rejects(management.call('backup-begin', { backupId: BACKUP }), REFUSED)
      assert.deepEqual(await readdir(join(hsm.directory, SPOOLS.out)), [], 'nothing is left of it')
      const { phase, keys } = await management.call('health', {})
      assert.deepEqual({ phase, keys }, { phase: 'active', keys: KEYS })
      await disk.free()
      const { size } = await untilDone(() => management.call('backup-begin', { backupId: BACKUP }))
      assert.ok(size > KEYS * 100)

      // What destroys keys needs no room.
      await disk.fill()
      await management.call('zeroise', {})
      const left = (await readdir(hsm.directory)).filter(
        (name) => !['audit', 'fleet', 'hsm.json', 'zeroised'].includes(name),
      )
      assert.deepEqual(left, [])
    }),
)

test(
  'one that is restored on a full disk stays blank, at the upload and at the end, and is whole when there is room',
  { skip },
  async () => {
    const first = await cluster.first.management()
    const announced = await first.call('backup-begin', { backupId: BACKUP })
    const pieces: Uint8Array[] = []
    for (let offset = 0; offset < announced.size; offset += BACKUP_CHUNK_BYTES) {
      pieces.push((await first.call('backup-read', { backupId: BACKUP, offset, length: BACKUP_CHUNK_BYTES })).bytes)
    }
    await first.close()
    const sealed = Buffer.concat(pieces)
    await onSmallDisk(async (management) => {
      const clusterId = 'cluster-restoredone'
      const membership = cluster.pki.signMembership({ clusterId, epoch: 1, members: [hsm.member] })
      const upload = async () => {
        let { offset } = await management.call('restore-begin', { backupId: BACKUP, ...announced })
        while (offset < sealed.length) {
          const bytes = sealed.subarray(offset, offset + 128 * 1024)
          ;({ offset } = await management.call('restore-write', { backupId: BACKUP, offset, bytes }))
        }
        return offset
      }
      const about = { backupId: BACKUP, clusterId, mode: 'FIPS', hsmType: 'hsm2m.medium', membership } as const
      const commit = () => management.call('restore-commit', about)

      await disk.fill()
      await assert.rejects(upload(), REFUSED)
      await assertServesNobody(management)
      await disk.free()
      assert.equal(await untilDone(upload), sealed.length)

      await disk.fill()
      await assert.rejects(commit(), REFUSED)
      await assertServesNobody(management)
      await disk.free()
      assert.equal((await untilDone(commit)).phase, 'active')
      await assertHasAll(management)
    })
  },
)

test(
  'one whose lock file is gone says that the disk is full, takes its store for whole, and starts when there is room',
  { skip },
  () =>
    onSmallDisk(async (management) => {
      await management.close()
      await hsm.stop()
      await rm(join(hsm.directory, 'store', 'lock.mdb'))
      await disk.fill()
      for (let i = 0; i < 2; i++) await assert.rejects(hsm.start(), /lock\.mdb: ENOSPC.*Free some space/)
      await disk.free()
      await hsm.start()
      assert.equal(await managing(hsm, async (again) => (await again.call('health', {})).phase), 'blank')
    }),
)
