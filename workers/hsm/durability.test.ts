/** A real HSM process that is killed under load, again and again, and one whose disk is full. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { auditFilesIn } from '../../audit-log/files.ts'
import { AUDIT_DIRECTORY, auditFileName } from '../../provider-schema/audit-file.ts'
import { verifyAudit } from '../../audit-log/verify.ts'
import type { ClientOperations } from './protocol/client-operations.ts'
import type { Connection } from './protocol/connection.ts'
import { activatedCluster, aliceOn } from './testing/activated.ts'
import type { TestCluster } from './testing/process.ts'
import { smallDisk, whyNoSmallDisk } from './testing/small-disk.ts'

const ROUNDS = 15
const one = { requireTwoCopies: false } as const
type Client = Connection<ClientOperations>

const makeKey = (client: Client, label: string) =>
  client.call('key-generate-aes', { lengthBytes: 32, attributes: { label, encrypt: true }, ...one })

async function handlesOf(client: Client): Promise<Set<string>> {
  const found = new Set<string>()
  for (;;) {
    const { keys, total } = await client.call('key-find', { filter: {}, offset: found.size })
    for (const { handle } of keys) found.add(handle)
    if (found.size >= total) return found
  }
}

async function auditOf({ first, pki }: TestCluster) {
  const directory = join(first.directory, AUDIT_DIRECTORY)
  const files = await Promise.all(
    (await auditFilesIn(directory)).map(async (file) => {
      const name = auditFileName(file)
      return { name, text: await readFile(join(directory, name), 'utf8') }
    }),
  )
  return { ...verifyAudit(files, { root: pki.trust.root }), text: files.map(({ text }) => text).join('') }
}

test(`killed ${ROUNDS} times at any moment of making and deleting keys, an HSM keeps what it acknowledged`, async (t) => {
  const cluster = await activatedCluster()
  t.after(() => cluster.first.dispose())
  const standing = new Set<string>()
  const gone = new Set<string>()
  const answered = new Set<string>()
  /** Asked for, and never answered: they may be there or not. */
  const unknown = new Set<string>()
  for (let round = 0; round < ROUNDS; round++) {
    const client = await aliceOn(cluster)
    let acknowledged = 0
    const makers = [1, 2, 3].map(async () => {
      for (;;) {
        const { key } = await makeKey(client, `round ${round}`)
        standing.add(key.handle)
        answered.add(key.handle)
        acknowledged += 1
      }
    })
    const deleter = (async () => {
      for (;;) {
        const [handle] = standing
        if (handle === undefined) await sleep(1)
        else {
          standing.delete(handle)
          unknown.add(handle)
          await client.call('key-delete', { handle })
          unknown.delete(handle)
          gone.add(handle)
        }
      }
    })()
    const work = Promise.allSettled([...makers, deleter])
    while (acknowledged < 5) await sleep(1)
    await sleep(randomInt(60))
    await cluster.first.stop('SIGKILL')
    await work
    await cluster.first.start()
    const again = await aliceOn(cluster)
    const held = await handlesOf(again)
    await again.close()
    const lost = [...standing].filter((handle) => !held.has(handle))
    assert.deepEqual(lost, [], `lost in round ${round}`)
    const back = [...gone].filter((handle) => held.has(handle))
    assert.deepEqual(back, [], `back in round ${round}`)
    // What the HSM made without being able to say so belongs to the next round.
    for (const handle of held) if (!unknown.has(handle)) standing.add(handle)
  }
  const { findings, text } = await auditOf(cluster)
  assert.deepEqual(findings, [])
  const timesLogged = (handle: string) =>
    text.split(`Priv/Secret Key Handle : ${BigInt(handle).toString()}\\n`).length - 1
  for (const handle of answered) assert.ok(timesLogged(handle) >= (gone.has(handle) ? 2 : 1), `the log lacks ${handle}`)
})

const noDisk = whyNoSmallDisk()

test(
  'on a full disk management is refused with the reason, keys go on being used, and nothing acknowledged is lost',
  { skip: noDisk ?? false },
  async () => {
    const disk = await smallDisk('12m')
    let cluster: TestCluster | undefined
    try {
      cluster = await disk.within(() => activatedCluster())
      const client = await aliceOn(cluster)
      const { key } = await makeKey(client, 'kept')
      await disk.fill()
      let refusals = 0
      const made = new Set([key.handle])
      while (refusals < 20) {
        try {
          made.add((await makeKey(client, 'maybe')).key.handle)
        } catch (error) {
          assert.ok(error instanceof Error && 'code' in error)
          assert.equal(error.code, 'StorageFailed')
          assert.match(error.message, /Free some space|free some space/)
          refusals += 1
        }
      }
      const data = Buffer.from('still served')
      const sealed = await client.call('encrypt', { handle: key.handle, mechanism: { name: 'aes-gcm' }, data, ...one })
      assert.equal(sealed.ciphertext.length, data.length + 16)
      // Killed on the full disk it says why it cannot start; given room, it starts again with everything.
      // LMDB met no full disk: now and then its end comes from that.
      assert.doesNotMatch(cluster.first.output, /Write error/)
      await cluster.first.stop('SIGKILL')
      await disk.fill()
      await assert.rejects(cluster.first.start(), /the HSM could not .*Free some space/)
      await disk.free()
      await cluster.first.start()
      const again = await aliceOn(cluster)
      const held = await handlesOf(again)
      assert.deepEqual(
        [...made].filter((handle) => !held.has(handle)),
        [],
      )
      await makeKey(again, 'after')
      await again.close()
      assert.deepEqual((await auditOf(cluster)).findings, [])
    } finally {
      await cluster?.first.dispose()
      await disk.dispose()
    }
  },
)
