/** The management port of whole HSM processes: what it promises across kills and repetitions. */
import assert from 'node:assert/strict'
import { access, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SPOOLS } from '../backup/spool.ts'
import type { Connection } from '../protocol/connection.ts'
import { ConnectionLost } from '../protocol/errors.ts'
import { BACKUP_CHUNK_BYTES, type ManagementOperations } from '../protocol/management-operations.ts'
import { managing, startCluster, startHsmProcess, type HsmProcess, type TestCluster } from '../testing/process.ts'
import { VAULT_FILES } from '../vault/seal.ts'

const PASSWORD = 'password-1'
const KEYS = 400
const BACKUP = { backupId: 'backup-aaaaaaaaaaa', clusterId: 'cluster-restoredone' } as const

let cluster: TestCluster
let sealed: Buffer
let announced: { size: number; digest: string }

before(async () => {
  cluster = await startCluster()
  const client = await cluster.first.client(cluster.customer.certificate)
  await client.call('activate', { password: PASSWORD })
  await client.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
  await client.call('user-create', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  await client.call('logout', {})
  await client.call('login', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  const make = (i: number) =>
    client.call('key-generate-aes', { lengthBytes: 32, attributes: { label: `key-${i}` }, requireTwoCopies: false })
  await Promise.all(Array.from({ length: KEYS }, (_, i) => make(i)))
  await client.close()
  await managing(cluster.first, async (management) => {
    announced = await management.call('backup-begin', { backupId: BACKUP.backupId })
    const pieces: Uint8Array[] = []
    for (let offset = 0; offset < announced.size; offset += BACKUP_CHUNK_BYTES) {
      const asked = { backupId: BACKUP.backupId, offset, length: BACKUP_CHUNK_BYTES }
      pieces.push((await management.call('backup-read', asked)).bytes)
    }
    sealed = Buffer.concat(pieces)
  })
})
after(() => cluster.first.dispose())

async function withBlankHsm(work: (hsm: HsmProcess) => Promise<void>): Promise<void> {
  const hsm = await startHsmProcess({ pki: cluster.pki })
  try {
    await work(hsm)
  } finally {
    await hsm.dispose()
  }
}

const membershipOf = (hsm: HsmProcess) =>
  cluster.pki.signMembership({ clusterId: BACKUP.clusterId, epoch: 1, members: [hsm.member] })

const commit = (hsm: HsmProcess, management: Connection<ManagementOperations>) =>
  management.call('restore-commit', {
    ...BACKUP,
    mode: 'FIPS',
    hsmType: 'hsm2m.medium',
    membership: membershipOf(hsm),
  })

/** Sends what the HSM lacks of the backup, up to `until`. Gives how much it had. */
async function upload(management: Connection<ManagementOperations>, until = sealed.length): Promise<number> {
  const { offset: had } = await management.call('restore-begin', { backupId: BACKUP.backupId, ...announced })
  const step = Math.ceil(sealed.length / 8)
  for (let offset = had; offset < until;) {
    const bytes = sealed.subarray(offset, Math.min(offset + step, until))
    ;({ offset } = await management.call('restore-write', { backupId: BACKUP.backupId, offset, bytes }))
  }
  return had
}

async function assertRestored(hsm: HsmProcess): Promise<void> {
  const client = await hsm.client(cluster.customer.certificate)
  await client.call('login', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  const { total } = await client.call('key-find', { filter: {}, limit: 1 })
  await client.close()
  assert.equal(total, KEYS)
}

test('an upload that a kill cut in two goes on where it was', () =>
  withBlankHsm(async (hsm) => {
    const half = Math.floor(sealed.length / 2)
    await managing(hsm, (management) => upload(management, half))
    await hsm.stop('SIGKILL')
    await hsm.start()
    await managing(hsm, async (management) => {
      assert.equal(await upload(management), half)
      assert.equal((await commit(hsm, management)).phase, 'active')
    })
    await assertRestored(hsm)
  }))

test('what was damaged on the disk of the HSM that is being filled is noticed, and can be sent anew', () =>
  withBlankHsm(async (hsm) => {
    const spool = join(hsm.directory, SPOOLS.in)
    await managing(hsm, async (management) => {
      await upload(management)
      const part = await readFile(join(spool, `${BACKUP.backupId}.part`))
      part.writeUInt8(part.readUInt8(5_000) ^ 1, 5_000)
      await writeFile(join(spool, `${BACKUP.backupId}.part`), part)
      const damaged = { code: 'StorageFailed', message: /digest .*: it was damaged on its way or on this HSM's disk/ }
      await assert.rejects(commit(hsm, management), damaged)
      assert.deepEqual(await readdir(spool), [])
      await upload(management)
      await writeFile(join(spool, `${BACKUP.backupId}.json`), '{"size":')
      await assert.rejects(commit(hsm, management), { code: 'WrongState' })
      assert.equal(await upload(management), 0)
      assert.equal((await commit(hsm, management)).phase, 'active')
    })
    await assertRestored(hsm)
  }))

test('a restore that is killed at any moment leaves an HSM blank or whole, and is whole when asked for again', async () => {
  for (const delayMs of [0, 5, 10, 20, 40]) {
    await withBlankHsm(async (hsm) => {
      await managing(hsm, (management) => upload(management))
      const management = await hsm.management()
      const committing = commit(hsm, management).then(
        () => true,
        (error: unknown) => {
          assert.ok(error instanceof ConnectionLost, String(error))
          return false
        },
      )
      await sleep(delayMs)
      await hsm.stop('SIGKILL')
      const wasAcknowledged = await committing
      await hsm.start()
      await managing(hsm, async (again) => {
        const { phase } = await again.call('health', {})
        assert.ok(phase === 'active' || (phase === 'blank' && !wasAcknowledged), `${phase} after ${delayMs} ms`)
        await upload(again)
        assert.equal((await commit(hsm, again)).phase, 'active')
      })
      await assertRestored(hsm)
      assert.deepEqual(await readdir(join(hsm.directory, SPOOLS.in)), [])
    })
  }
})

test('an HSM that is zeroised twice answers twice and has nothing left; it never starts again, and says why', () =>
  withBlankHsm(async (hsm) => {
    await managing(hsm, async (management) => {
      await upload(management)
      await commit(hsm, management)
      const answers = await Promise.all([management.call('zeroise', {}), management.call('zeroise', {})])
      assert.deepEqual(answers, [{}, {}])
    })
    assert.equal(await hsm.stop('SIGCONT'), 0, 'it ends by itself')
    await assert.rejects(access(join(hsm.directory, VAULT_FILES.sealKey)), { code: 'ENOENT' })
    await assert.rejects(hsm.start(), /was zeroised/)
    await assert.rejects(access(join(hsm.directory, VAULT_FILES.sealKey)), { code: 'ENOENT' })
  }))
