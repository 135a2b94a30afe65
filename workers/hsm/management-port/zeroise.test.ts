/** A zeroisation that is cut short at any of its steps: nothing happened, or the next start ends it. */
import assert from 'node:assert/strict'
import fs, { type FileHandle } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, mock, test } from 'node:test'
import { sealKeyOf, wasZeroised, zeroisationBegan } from '../vault/seal.ts'
import { openSealedStore } from '../vault/sealed-store.ts'
import { endZeroisation, zeroiseDirectory } from './zeroise.ts'

/** Made before the file system is tampered with. */
const real = { ...fs }
const KEPT = ['audit', 'hsm.json', 'zeroised']
let good: string
let key: Buffer

before(async () => {
  good = await real.mkdtemp(join(tmpdir(), 'zeroise-'))
  key = await sealKeyOf(good)
  const store = await openSealedStore({ directory: good, sealKey: key, hsmId: 'hsm-a' })
  await store.write([{ path: 'keys/a', value: Buffer.from('a secret') }])
  await store.close()
  for (const name of ['hsm.json', 'device.pem', 'provider.pem', 'store.open'])
    await real.writeFile(join(good, name), name)
  for (const name of ['audit', 'backups', 'restores']) {
    await real.mkdir(join(good, name))
    await real.writeFile(join(good, name, 'content'), name)
  }
})
after(() => real.rm(good, { recursive: true }))

/** A copy that goes when the work is over. */
async function inCopy(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await real.mkdtemp(join(tmpdir(), 'zeroised-'))
  try {
    await real.cp(good, directory, { recursive: true })
    await work(directory)
  } finally {
    await real.rm(directory, { recursive: true })
  }
}

/** Lets `step` look at each change of the file system before it happens, while the work lasts: what it throws, the change throws. */
async function watched(step: (name: string) => void, work: () => Promise<void>): Promise<void> {
  const changing = (handle: FileHandle): FileHandle => {
    for (const name of ['write', 'truncate', 'sync'] as const) {
      const change = handle[name].bind(handle) as (...args: unknown[]) => Promise<unknown>
      Object.assign(handle, {
        [name]: async (...args: unknown[]) => {
          step(name)
          return change(...args)
        },
      })
    }
    return handle
  }
  mock.method(fs, 'open', async (...args: Parameters<typeof real.open>) => {
    if (args[1] !== 'r') step('open')
    return changing(await real.open(...args))
  })
  mock.method(fs, 'rename', async (...args: Parameters<typeof real.rename>) => {
    step('rename')
    return real.rename(...args)
  })
  mock.method(fs, 'rm', async (...args: Parameters<typeof real.rm>) => {
    step('rm')
    return real.rm(...args)
  })
  syncBuiltinESMExports()
  try {
    await work()
  } finally {
    mock.restoreAll()
    syncBuiltinESMExports()
  }
}

async function assertNothingIsLeft(directory: string): Promise<void> {
  assert.deepEqual((await real.readdir(directory)).toSorted(), KEPT)
  assert.equal((await real.readFile(join(directory, 'zeroised'))).length, 0)
  assert.equal(await wasZeroised(directory), true)
  await assert.rejects(sealKeyOf(directory), /was zeroised: its keys are destroyed, and it never starts again/)
}

/** Kills a zeroisation after so many steps, and starts again. Gives whether it had begun, and whether it was killed at all. */
async function killedAfter(steps: number): Promise<{ began: boolean; killed: boolean }> {
  const outcome = { began: false, killed: false }
  await inCopy(async (directory) => {
    let left = steps
    const dead = () => {
      left -= 1
      if (left < 0) throw new Error('killed')
    }
    await watched(dead, () => zeroiseDirectory(directory)).catch(() => (outcome.killed = true))
    outcome.began = await zeroisationBegan(directory)
    await endZeroisation(directory)
    if (outcome.began) return assertNothingIsLeft(directory)
    assert.deepEqual(await sealKeyOf(directory), key)
    const store = await openSealedStore({ directory, sealKey: key, hsmId: 'hsm-a' })
    assert.equal(Buffer.from(store.get('keys/a')?.value ?? []).toString(), 'a secret')
    await store.close()
  })
  return outcome
}

test('killed before any of its steps it has not begun, or is ended by the next start', async () => {
  const began: boolean[] = []
  for (let last = await killedAfter(0); ; last = await killedAfter(began.length)) {
    began.push(last.began)
    if (!last.killed) break
  }
  assert.deepEqual(began.slice(0, 3), [false, false, true], 'the first write decides')
  assert.ok(began.length > 12, `${began.length} steps`)
  assert.ok(began.slice(2).every(Boolean))
})

test('where the key cannot be overwritten for want of room it is once the rest has gone', () =>
  inCopy(async (directory) => {
    let isFull = true
    const full = (name: string) => {
      if (name === 'rm') isFull = false
      if (name === 'write' && isFull) throw new Error('ENOSPC: no space left on device')
    }
    await watched(full, () => zeroiseDirectory(directory))
    await assertNothingIsLeft(directory)
  }))

test('half removed as a kill within the removal leaves it, it is ended all the same', () =>
  inCopy(async (directory) => {
    await real.writeFile(join(directory, 'seal.key'), 'zeroised'.repeat(4))
    await real.rm(join(directory, 'store', 'data.mdb'))
    await endZeroisation(directory)
    await assertNothingIsLeft(directory)
    await endZeroisation(directory)
    await zeroiseDirectory(directory)
    await assertNothingIsLeft(directory)
  }))
