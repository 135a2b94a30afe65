/**
 * What may lie in a backup store. For all bytes: a backup is read whole or refused with BackupInvalid.
 *
 * Each input is tried twice: as the file, which its seals protect; and as the content of a file that somebody who has the
 * fleet key has sealed, which nothing protects but the reader.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beginBackup, CHUNK_BYTES, sealChunk } from '../../workers/hsm/backup/format.ts'
import { readBackup } from '../../workers/hsm/backup/read-backup.ts'
import { encodeRecord } from '../../workers/hsm/backup/records.ts'
import { restoreBackup } from '../../workers/hsm/backup/restore.ts'
import { digestOf } from '../../workers/hsm/backup/digest.ts'
import { HsmError } from '../../workers/hsm/protocol/errors.ts'
import { MemoryStore } from '../../workers/hsm/replication/testing/memory-store.ts'
import { encodeIdentity, IDENTITY_PATH } from '../../workers/hsm/identity/cluster-identity.ts'
import type { FuzzTarget } from './target.ts'

const CLUSTER = { clusterId: 'cluster-1', hsmType: 'hsm2m.medium', mode: 'FIPS' } as const

/** In a directory of its own, which `close` removes. */
export async function backups(): Promise<FuzzTarget> {
  const dir = await mkdtemp(join(tmpdir(), 'fuzz-backups-'))
  const fleetKey = randomBytes(32)
  const fleetBackupKeyFile = join(dir, 'fleet.key')
  await writeFile(fleetBackupKeyFile, fleetKey, { mode: 0o600 })
  const path = join(dir, 'input')
  const fixture = await readFile(new URL('../../workers/hsm/backup/fixtures/version-1.backup', import.meta.url))
  const content = Buffer.concat(
    [
      { path: IDENTITY_PATH, value: identity() },
      { path: 'users/alice', value: Buffer.from('a record') },
      { path: 'keys/0x0123456789abcdef', value: randomBytes(200) },
    ].map(({ path: name, value }) => encodeRecord({ path: name, version: { counter: 7, hsmId: 'hsm-1' }, value })),
  )

  const restores = async (bytes: Buffer): Promise<void> => {
    await writeFile(path, bytes)
    const store = new MemoryStore('hsm-2')
    const file = await open(path, 'r')
    try {
      const { digest, size } = await digestOf(file)
      const backup = await readBackup(file, fleetBackupKeyFile)
      for await (const records of backup.records()) assert.ok(Array.isArray(records))
      backup.close()
      const verified = () => Promise.resolve()
      await restoreBackup({ path, size, digest, fleetBackupKeyFile, store, cluster: CLUSTER, verified })
    } catch (error) {
      if (!(error instanceof HsmError) || error.code !== 'BackupInvalid') throw error
      assert.equal(store.lastSeq, 0, 'a backup that was refused left something behind')
    } finally {
      await file.close()
    }
  }

  const sealed = (plaintext: Buffer): Buffer => {
    const records = Math.min(plaintext.length, 3)
    const { preamble, key } = beginBackup(fleetKey, { ...CLUSTER, createdAt: new Date(0).toISOString(), records })
    const count = Math.max(1, Math.ceil(plaintext.length / CHUNK_BYTES))
    const chunks = Array.from({ length: count }, (_, i) =>
      sealChunk(key, i, i === count - 1, plaintext.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)),
    )
    return Buffer.concat([preamble, ...chunks])
  }

  return {
    name: 'backups',
    seeds: () => [fixture, content, sealed(content)],
    async run(input) {
      await restores(input)
      await restores(sealed(input))
    },
    close: () => rm(dir, { recursive: true, force: true }),
  }
}

function identity(): Buffer {
  const nothing = new Uint8Array(1)
  return Buffer.from(encodeIdentity({ ...CLUSTER, maskingKey: new Uint8Array(32), clusterKey: nothing, csr: '' }))
}
