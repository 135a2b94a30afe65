/** Changes that wait together are made durable together: the database's own count of its transactions tells how many it took. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { open } from 'lmdb'
import { z } from 'zod'
import { sealKeyOf, VAULT_FILES } from './seal.ts'
import { openSealedStore } from './sealed-store.ts'

const stats = z.object({ lastTxnId: z.number() })

/** A store, and what another reader of its file finds in it. */
async function watchedStore(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'group-commit-'))
  const store = await openSealedStore({ directory, sealKey: await sealKeyOf(directory), hsmId: 'hsm-b' })
  const reader = open<Buffer, string>({ path: join(directory, VAULT_FILES.store), encoding: 'binary' })
  t.after(async () => {
    await reader.close()
    await store.close()
    await rm(directory, { recursive: true, force: true })
  })
  /** Of all that was committed so far. */
  const look = <Found>(found: () => Found) => {
    reader.resetReadTxn()
    return found()
  }
  return {
    write: (name: string) => store.write([{ path: `keys/${name}`, value: Buffer.from(name) }]),
    isCommitted: (name: string) => look(() => reader.doesExist(`record/keys/${name}`)),
    transactions: () => look(() => stats.parse(reader.getStats()).lastTxnId),
  }
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `k${i}`)

/** Lets what was asked for begin. Nothing that the disk does ends meanwhile: the event loop does not turn. */
async function begun() {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

test('500 writes asked for at once take one commit, and none is answered before it', async (t) => {
  const { write, isCommitted, transactions } = await watchedStore(t)
  const before = transactions()
  let answered = 0
  const answers = names(500).map(async (name) => {
    await write(name)
    assert.ok(isCommitted(name), name)
    answered += 1
  })
  await begun()
  assert.deepEqual([answered, isCommitted('k0'), transactions() - before], [0, false, 0])
  await Promise.all(answers)
  assert.equal(transactions() - before, 1)
})

test('writes that come while a commit is under way share the next one', async (t) => {
  const { write, isCommitted, transactions } = await watchedStore(t)
  const before = transactions()
  const first = write('first')
  await begun()
  const later = names(200).map(async (name) => {
    await write(name)
    assert.ok(isCommitted(name), name)
  })
  await first
  assert.deepEqual([isCommitted('first'), isCommitted('k0')], [true, false])
  await Promise.all(later)
  assert.equal(transactions() - before, 2)
})

test('writers that each wait for their answer share commits: far fewer than writes', async (t) => {
  const { write, transactions } = await watchedStore(t)
  const before = transactions()
  await Promise.all(
    names(32).map(async (writer) => {
      for (const name of names(10)) await write(`${writer}-${name}`)
    }),
  )
  const taken = transactions() - before
  assert.ok(taken >= 10 && taken <= 40, `${taken} commits for 320 writes`)
})

test('one commit takes 2048 records, so that none holds the disk for long: the rest is in the next', async (t) => {
  const { write, transactions } = await watchedStore(t)
  const before = transactions()
  await Promise.all(names(5000).map(write))
  assert.equal(transactions() - before, 3)
})
