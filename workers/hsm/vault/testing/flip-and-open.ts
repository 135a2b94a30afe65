/**
 * A program: damages a store file one case after another, opens the store, and says what came of it. Should a case end the
 * process, as LMDB does on a broken page, the cases after it are not tried.
 *
 *   flip-and-open.ts <directory with a good store>
 *
 * A case is a line of the input; for each a line: `<case> <what>`.
 *
 *   <byte offset>.<bit>         that bit is flipped
 *   zeros:<from>-<to>           those bytes are zero
 *   before:<from>-<to>          those bytes are as before the last commit; `long-before` as many commits before
 *   cut:<bytes>                 the file ends there
 *   lost:<seed>                 some of the pages that the last commit wrote are as before it
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { chanceOf, type Chance } from '../../../../test/support/chance.ts'
import type { RecordStore } from '../record-store.ts'
import { sealKeyOf } from '../seal.ts'
import { openSealedStore } from '../sealed-store.ts'
import { PAGE } from './random-store.ts'

const [, , good = ''] = process.argv
const expected = JSON.parse(await readFile(join(good, 'expected.json'), 'utf8')) as Record<string, number | null>
const content = await readFile(join(good, 'store', 'data.mdb'))
const open = async (directory: string) =>
  openSealedStore({ directory, sealKey: await sealKeyOf(directory), hsmId: 'hsm-a' })

const directory = join(good, 'flipped')
for (const which of (await text(process.stdin)).split('\n')) {
  await flip(which)
  process.stdout.write(`${which} ${await outcome()}\n`)
  await rm(directory, { recursive: true })
}
process.exit(0)

async function flip(which: string): Promise<void> {
  await mkdir(join(directory, 'store'), { recursive: true })
  for (const file of ['seal.key', 'store/newest']) await copyFile(join(good, file), join(directory, file))
  await writeFile(join(directory, 'store', 'data.mdb'), await damaged(which))
}

async function damaged(which: string): Promise<Buffer> {
  const bytes = Buffer.from(content)
  const [kind = '', where = ''] = which.split(':')
  const [from = 0, to = 0] = where.split('-').map(Number)
  if (kind === 'cut') return bytes.subarray(0, from)
  if (kind === 'zeros') bytes.fill(0, from, to)
  else if (kind === 'lost') losePages(bytes, await readFile(join(good, 'before.mdb')), chanceOf(from))
  else if (where !== '') {
    const older = await readFile(join(good, `${kind}.mdb`))
    // Where the file did not reach yet a disk gives zeros.
    bytes.fill(0, from, to)
    if (from < older.length) older.copy(bytes, from, from, to)
  } else {
    const [offset = 0, bit = 0] = which.split('.').map(Number)
    bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << bit), offset)
  }
  return bytes
}

function losePages(bytes: Buffer, before: Buffer, chance: Chance): void {
  for (let at = 0; at < before.length; at += PAGE) if (chance() < 0.5) before.copy(bytes, at, at, at + PAGE)
}

/** `whole`: everything is there and can be changed, after another start too. `refused: …`. `WRONG: …` must not be. */
async function outcome(): Promise<string> {
  let store: RecordStore | undefined
  try {
    for (const again of [false, true]) {
      store = await open(directory)
      for (const [path, byte] of Object.entries(expected)) {
        const value: Uint8Array | undefined = store.get(path)?.value
        if ((byte === null) !== (value === undefined)) return `WRONG: ${path} is ${value ? 'back' : 'gone'}`
        if (byte !== null && value?.some((each) => each !== byte)) return `WRONG: ${path} is altered`
      }
      if (!again) await change(store)
      await store.close()
      store = undefined
    }
    return 'whole'
  } catch (error) {
    return `refused: ${error instanceof Error ? error.message : String(error)}`.replaceAll('\n', ' ')
  } finally {
    await store?.close()
  }
}

/** Takes pages from the list of free ones, singly and several in a row, and gives some back. */
async function change(store: RecordStore): Promise<void> {
  for (const bytes of [5_000, 300]) {
    for (const i of [0, 1]) await store.write([{ path: `more/${i}`, value: Buffer.alloc(bytes) }])
    await store.write([{ path: 'more/0', value: undefined }])
  }
}
