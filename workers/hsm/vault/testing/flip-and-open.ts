/**
 * A program: flips bits of a store file one case after another, opens the store, and says what came of it. Should a case end
 * the process, as LMDB does on a broken page, the cases after it are not tried.
 *
 *   flip-and-open.ts <directory with a good store>
 *
 * A case is `<byte offset>.<bit>`, a line of the input. For each a line: `<case> <what>`.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { RecordStore } from '../record-store.ts'
import { sealKeyOf } from '../seal.ts'
import { openSealedStore } from '../sealed-store.ts'

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
  const [offset = 0, bit = 0] = which.split('.').map(Number)
  await mkdir(join(directory, 'store'), { recursive: true })
  for (const file of ['seal.key', 'store/newest']) await copyFile(join(good, file), join(directory, file))
  const flipped = Buffer.from(content)
  flipped.writeUInt8(flipped.readUInt8(offset) ^ (1 << bit), offset)
  await writeFile(join(directory, 'store', 'data.mdb'), flipped)
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
