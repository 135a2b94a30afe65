import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { open } from 'lmdb'
import type { FeedEntry, RecordStore, VersionedRecord } from './record-store.ts'
import { destroySealKey, sealKeyOf, VaultDamaged } from './seal.ts'
import { openSealedStore } from './sealed-store.ts'

const directories: string[] = []
after(() => Promise.all(directories.map((path) => rm(path, { recursive: true, force: true }))))

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sealed-store-'))
  directories.push(path)
  return path
}

async function openIn(path: string): Promise<RecordStore> {
  return openSealedStore({ directory: path, sealKey: await sealKeyOf(path), hsmId: 'hsm-b' })
}

const text = (value: string) => Buffer.from(value)
const read = (record: VersionedRecord | undefined) =>
  record?.value === undefined ? undefined : Buffer.from(record.value).toString()

test('what was written is there after a restart, with its version and feed number', async () => {
  const path = await directory()
  const first = await openIn(path)
  const [a] = await first.write([{ path: 'keys/a', value: text('one') }])
  const [b] = await first.write([{ path: 'keys/b', value: text('two') }])
  await first.write([{ path: 'keys/a', value: undefined }])
  await first.local.put('membership', text('seven'))
  assert.deepEqual([a?.seq, b?.seq, first.lastSeq], [1, 2, 3])
  await first.close()

  const second = await openIn(path)
  assert.equal(read(second.get('keys/b')), 'two')
  assert.equal(second.get('keys/a')?.value, undefined)
  assert.deepEqual(second.get('keys/a')?.version, { counter: 3, hsmId: 'hsm-b' })
  assert.equal(Buffer.from(second.local.get('membership') ?? []).toString(), 'seven')
  assert.deepEqual(
    second.feedAfter(0, 10).map(({ seq, path: changed }) => [seq, changed]),
    [
      [2, 'keys/b'],
      [3, 'keys/a'],
    ],
  )
  const [next] = await second.write([{ path: 'keys/c', value: text('x') }])
  assert.deepEqual([next?.seq, next?.version.counter], [4, 4])
  await second.close()
})

test('list gives live records of a prefix in order, tombstones only when asked', async () => {
  const store = await openIn(await directory())
  await store.write([
    { path: 'keys/b', value: text('b') },
    { path: 'keys/a', value: text('a') },
    { path: 'users/z', value: text('z') },
  ])
  await store.write([{ path: 'keys/b', value: undefined }])
  assert.deepEqual(
    [...store.list('keys/')].map(({ path }) => path),
    ['keys/a'],
  )
  assert.deepEqual(
    [...store.list('keys/', { tombstones: true })].map(({ path }) => path),
    ['keys/a', 'keys/b'],
  )
  await store.close()
})

const version = (counter: number, hsmId: string) => ({ counter, hsmId })
const precedence: readonly (readonly [string, VersionedRecord, VersionedRecord, string | undefined])[] = [
  [
    'a higher counter wins',
    { path: 'r', version: version(5, 'a'), value: text('old') },
    { path: 'r', version: version(6, 'a'), value: text('new') },
    'new',
  ],
  [
    'a lower counter loses, tombstone or not',
    { path: 'r', version: version(6, 'a'), value: text('kept') },
    { path: 'r', version: version(5, 'z') },
    'kept',
  ],
  [
    'on a tie a tombstone wins',
    { path: 'r', version: version(5, 'z'), value: text('dies') },
    { path: 'r', version: version(5, 'a') },
    undefined,
  ],
  [
    'on a tie a value does not bring back a tombstone',
    { path: 'r', version: version(5, 'a') },
    { path: 'r', version: version(5, 'z'), value: text('no') },
    undefined,
  ],
  [
    'on a tie of values the higher HSM id wins',
    { path: 'r', version: version(5, 'a'), value: text('a') },
    { path: 'r', version: version(5, 'b'), value: text('b') },
    'b',
  ],
]
for (const [rule, standing, coming, expected] of precedence) {
  test(`applying a peer's record: ${rule}`, async () => {
    const store = await openIn(await directory())
    await store.apply([standing])
    await store.apply([coming])
    assert.equal(read(store.get('r')), expected)
    await store.close()
  })
}

test('an own write always beats what was applied before it', async () => {
  const store = await openIn(await directory())
  await store.apply([{ path: 'r', version: version(1000, 'hsm-z'), value: text('theirs') }])
  const [mine] = await store.write([{ path: 'r', value: text('mine') }])
  assert.equal(mine?.version.counter, 1001)
  assert.equal(read(store.get('r')), 'mine')
  await store.close()
})

test('the feed has each path once, at its latest number, through any number of changes', async () => {
  const store = await openIn(await directory())
  for (let round = 0; round < 30; round++) {
    await Promise.all(
      Array.from({ length: 100 }, (_, i) => store.write([{ path: `keys/${i}`, value: text(`${round}`) }])),
    )
  }
  const feed = store.feedAfter(0, 1_000_000)
  assert.equal(feed.length, 100)
  assert.equal(feed.at(-1)?.seq, 3000)
  assert.equal(store.feedAfter(2950, 10).length, 10)
  assert.equal(store.feedAfter(3000, 10).length, 0)
  await store.close()
})

test('listeners hear of every commit in order of number, and know whose it was', async () => {
  const store = await openIn(await directory())
  const heard: string[] = []
  store.onCommit((entries, origin) => entries.forEach(({ seq }) => heard.push(`${origin} ${seq}`)))
  await Promise.all([
    store.write([{ path: 'a', value: text('a') }]),
    store.apply([{ path: 'b', version: version(9, 'hsm-a'), value: text('b') }]),
    store.write([{ path: 'c', value: text('c') }]),
  ])
  assert.deepEqual(heard, ['local 1', 'peer 2', 'local 3'])
  await store.close()
})

test('nothing on disk shows a value', async () => {
  const path = await directory()
  const store = await openIn(path)
  const secret = randomBytes(64)
  await store.write([{ path: 'keys/secret', value: secret }])
  await store.local.put('peer', secret)
  await store.close()
  for (const name of await readdir(join(path, 'store'))) {
    const content = await readFile(join(path, 'store', name))
    assert.equal(content.includes(secret.subarray(0, 16)), false, name)
    assert.equal((await stat(join(path, 'seal.key'))).mode & 0o777, 0o600)
  }
})

async function storeWithTwo(): Promise<string> {
  const path = await directory()
  const store = await openIn(path)
  await store.write([{ path: 'keys/a', value: text('a') }])
  await store.write([{ path: 'keys/b', value: text('b') }])
  await store.close()
  return path
}

async function tamper(path: string, change: (entries: Map<string, Buffer>) => void): Promise<void> {
  const database = open<Buffer, string>({ path: join(path, 'store'), encoding: 'binary' })
  const entries = new Map([...database.getRange()].map(({ key, value }): [string, Buffer] => [key, Buffer.from(value)]))
  const before = [...entries.keys()]
  change(entries)
  for (const key of before) if (!entries.has(key)) await database.remove(key)
  for (const [key, value] of entries) await database.put(key, value)
  await database.close()
}

const tampering: readonly (readonly [string, (entries: Map<string, Buffer>) => void, RegExp])[] = [
  [
    'a flipped bit',
    (entries) => {
      const value = entries.get('record/keys/a')
      value?.writeUInt8(value.readUInt8(20) ^ 1, 20)
    },
    /record\/keys\/a fails its seal/,
  ],
  [
    'a record cut short',
    (entries) => entries.set('record/keys/a', entries.get('record/keys/a')?.subarray(0, 10) ?? Buffer.alloc(0)),
    /record\/keys\/a is cut short/,
  ],
  [
    'a record put under another name',
    (entries) => entries.set('record/keys/a', entries.get('record/keys/b') ?? Buffer.alloc(0)),
    /record\/keys\/a fails its seal/,
  ],
  ['a removed record', (entries) => entries.delete('record/keys/a'), /holds 1 entries where 2 were written/],
  ['a removed summary', (entries) => entries.delete('summary'), /summary is missing/],
]
for (const [what, change, expected] of tampering) {
  test(`${what} is noticed at the next start, by name`, async () => {
    const path = await storeWithTwo()
    await tamper(path, change)
    await assert.rejects(openIn(path), (error: Error) => error instanceof VaultDamaged && expected.test(error.message))
  })
}

test('a record put back to an older state is noticed at the next start', async () => {
  const path = await storeWithTwo()
  let older: Buffer | undefined
  await tamper(path, (entries) => (older = entries.get('record/keys/a')))
  const store = await openIn(path)
  await store.write([{ path: 'keys/a', value: text('newer') }])
  await store.close()
  await tamper(path, (entries) => entries.set('record/keys/a', older ?? Buffer.alloc(0)))
  await assert.rejects(openIn(path), /older state/)
})

test('a store file that is no database at all is refused', async () => {
  const path = await storeWithTwo()
  await writeFile(join(path, 'store', 'data.mdb'), randomBytes(16_384))
  await assert.rejects(openIn(path), VaultDamaged)
})

test('a store whose pages are broken is refused, at the latest at the second start', async () => {
  const path = await storeWithTwo()
  const file = join(path, 'store', 'data.mdb')
  const content = await readFile(file)
  // All but the two pages that say where everything is.
  randomBytes(content.length - 8192).copy(content, 8192)
  await writeFile(file, content)
  const start = () =>
    promisify(execFile)(process.execPath, [
      '--input-type=module-typescript',
      '-e',
      `
        import { openSealedStore } from '${import.meta.resolve('./sealed-store.ts')}'
        import { sealKeyOf } from '${import.meta.resolve('./seal.ts')}'
        const directory = ${JSON.stringify(path)}
        try {
          await openSealedStore({ directory, sealKey: await sealKeyOf(directory), hsmId: 'hsm-b' })
        } catch (error) {
          console.log(error.message)
        }
      `,
    ]).then(
      ({ stdout }) => stdout,
      () => 'died',
    )
  const first = await start()
  const said = first === 'died' ? await start() : first
  assert.match(said, /the sealed store .* (is damaged|cannot be opened)/)
})

test('a store that was left open is looked through, and opened when it is good', async () => {
  const path = await storeWithTwo()
  await writeFile(join(path, 'store.open'), '')
  const store = await openIn(path)
  assert.equal(read(store.get('keys/a')), 'a')
  await store.close()
  assert.equal((await readdir(path)).includes('store.open'), false)
})

test('a store whose seal key is gone is refused, and no new key is made', async () => {
  const path = await storeWithTwo()
  await rm(join(path, 'seal.key'))
  await assert.rejects(openIn(path), /seal\.key is missing but there is a sealed store/)
  await assert.rejects(stat(join(path, 'seal.key')))
})

test('zeroising leaves neither seal key nor store, may be repeated, and lasts', async () => {
  const path = await storeWithTwo()
  await destroySealKey(path)
  await destroySealKey(path)
  assert.deepEqual(await readdir(path), ['zeroised'])
  await assert.rejects(openIn(path), /was zeroised/)
})

test('a disk that takes no more fails the change alone, and what stood still stands', async () => {
  const path = await directory()
  const program = `
    import { openSealedStore } from '${import.meta.resolve('./sealed-store.ts')}'
    import { sealKeyOf } from '${import.meta.resolve('./seal.ts')}'
    const store = await openSealedStore({ directory: ${JSON.stringify(path)}, sealKey: await sealKeyOf(${JSON.stringify(path)}), hsmId: 'hsm-b' })
    await store.write([{ path: 'keys/small', value: Buffer.from('kept') }])
    let code = ''
    try { await store.write([{ path: 'keys/large', value: Buffer.alloc(8_000_000) }]) } catch (error) { code = error.code }
    await store.write([{ path: 'keys/after', value: Buffer.from('kept too') }])
    console.log(JSON.stringify({ code, large: store.get('keys/large') !== undefined, seq: store.lastSeq }))
    await store.close()
  `
  // No file of this process may grow beyond 2 MiB: to LMDB the same as a full disk.
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    'ulimit -f 2048; exec "$0" --input-type=module-typescript -e "$1"',
    process.execPath,
    program,
  ])
  assert.deepEqual(JSON.parse(stdout), { code: 'StorageFailed', large: false, seq: 2 })
  const store = await openIn(path)
  assert.deepEqual([read(store.get('keys/small')), read(store.get('keys/after'))], ['kept', 'kept too'])
  await store.close()
})

test('a process killed while it writes keeps everything it acknowledged', async () => {
  const path = await directory()
  const program = `
    import { openSealedStore } from '${import.meta.resolve('./sealed-store.ts')}'
    import { sealKeyOf } from '${import.meta.resolve('./seal.ts')}'
    const store = await openSealedStore({ directory: ${JSON.stringify(path)}, sealKey: await sealKeyOf(${JSON.stringify(path)}), hsmId: 'hsm-b' })
    let n = 0
    const writer = async () => { for (;;) { const i = n++; await store.write([{ path: 'keys/' + i, value: Buffer.alloc(500, i % 251) }]); process.stdout.write(i + '\\n') } }
    for (let w = 0; w < 20; w++) void writer()
  `
  const child = execFile(process.execPath, ['--input-type=module-typescript', '-e', program], { maxBuffer: 1e8 })
  let acknowledged = ''
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (chunk: string) => {
      acknowledged += chunk
      if (acknowledged.length > 4_000) child.kill('SIGKILL')
    })
    child.once('close', () => resolve())
  })
  const numbers = acknowledged.slice(0, acknowledged.lastIndexOf('\n')).split('\n')
  const store = await openIn(path)
  for (const number of numbers) {
    assert.equal(store.get(`keys/${number}`)?.value?.[0], Number(number) % 251, `keys/${number}`)
  }
  const entries: FeedEntry[] = store.feedAfter(0, 1_000_000)
  assert.equal(entries.at(-1)?.seq, store.lastSeq)
  await store.close()
})

test('what a record held is in memory no more once the record is deleted or has another value', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const store = await openIn(await directory())
  const writeAnd = async (next: string | undefined) => {
    const value = text('a key')
    await store.write([{ path: 'keys/a', value }])
    await store.write([{ path: 'keys/a', value: next === undefined ? undefined : text(next) }])
    return new WeakRef(value)
  }
  for (const next of [undefined, 'another']) {
    const held = await writeAnd(next)
    await sleep(1)
    collect()
    assert.equal(held.deref(), undefined)
  }
  await store.close()
})

/** Opens a store, makes /dev/full of the descriptor by which LMDB writes its root, and writes again and again. */
const ROOT_UNWRITABLE = `
  import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
  import { openSealedStore } from '${new URL('sealed-store.ts', import.meta.url).href}'
  import { sealKeyOf } from '${new URL('seal.ts', import.meta.url).href}'
  const [, directory] = process.argv
  const store = await openSealedStore({ directory, sealKey: await sealKeyOf(directory), hsmId: 'hsm-b' })
  await store.write([{ path: 'keys/a', value: Buffer.from('one') }])
  const O_DSYNC = 0o10000
  const root = readdirSync('/proc/self/fd').map(Number).find((fd) => {
    const [, flags] = /flags:\\s+0(\\d+)/.exec(readFileSync('/proc/self/fdinfo/' + fd, 'utf8'))
    return readlinkSync('/proc/self/fd/' + fd).endsWith('data.mdb') && (parseInt(flags, 8) & O_DSYNC) !== 0
  })
  closeSync(root)
  while (openSync('/dev/full', 'w') !== root);
  for (let i = 0; i < 5; i++) {
    await store.write([{ path: 'keys/b', value: Buffer.from('two') }]).catch((error) => console.log(error.code))
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
`

test(
  'when the root of the file could not be written the process ends, and the next one goes on with what was acknowledged',
  { skip: process.platform === 'linux' ? false : 'needs /proc and /dev/full' },
  async () => {
    const path = await directory()
    const args = ['--input-type=module', '--eval', ROOT_UNWRITABLE, path]
    await assert.rejects(promisify(execFile)(process.execPath, args), /sealed store must be opened anew/)
    const store = await openIn(path)
    assert.equal(read(store.get('keys/a')), 'one')
    await store.write([{ path: 'keys/b', value: text('three') }])
    assert.equal(read(store.get('keys/b')), 'three')
    await store.close()
  },
)
