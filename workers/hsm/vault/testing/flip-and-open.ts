/**
 * A program: flips bits of a store file one case after another, opens the store, and says what came of it. A case may end
 * the process, as LMDB does on a broken page; whoever runs it then runs it again from that case on.
 *
 *   flip-and-open.ts <directory with a good store> <index of the first case> <again|anew> <case …>
 *
 * A case is `<byte offset>.<bit>`. For each a line: `<index> <what>`.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RecordStore } from '../record-store.ts'
import { sealKeyOf } from '../seal.ts'
import { openSealedStore } from '../sealed-store.ts'

const [, , good = '', first = '0', how, ...cases] = process.argv
const expected = JSON.parse(await readFile(join(good, 'expected.json'), 'utf8')) as Record<string, number | null>
const open = async (directory: string) =>
  openSealedStore({ directory, sealKey: await sealKeyOf(directory), hsmId: 'hsm-a' })

for (let index = Number(first); index < cases.length; index++) {
  const directory = join(good, `flipped-${index}`)
  if (index > Number(first) || how !== 'again') await flip(directory, cases[index] ?? '')
  process.stdout.write(`${index} ${await outcome(directory)}\n`)
  await rm(directory, { recursive: true })
}
process.exit(0)

async function flip(directory: string, which: string): Promise<void> {
  const [offset = 0, bit = 0] = which.split('.').map(Number)
  await mkdir(join(directory, 'store'), { recursive: true })
  await copyFile(join(good, 'seal.key'), join(directory, 'seal.key'))
  await copyFile(join(good, 'store', 'newest'), join(directory, 'store', 'newest'))
  const content = await readFile(join(good, 'store', 'data.mdb'))
  content.writeUInt8(content.readUInt8(offset) ^ (1 << bit), offset)
  await writeFile(join(directory, 'store', 'data.mdb'), content)
}

/** `whole`: everything is there and can be changed, after another start too. `refused: …`. `WRONG: …` must not be. */
async function outcome(directory: string): Promise<string> {
  let store: RecordStore | undefined
  try {
    for (const again of [false, true]) {
      store = await open(directory)
      for (const [path, byte] of Object.entries(expected)) {
        const value: Uint8Array | undefined = store.get(path)?.value
        if ((byte === null) !== (value === undefined)) return `WRONG: ${path} is ${value ? 'back' : 'gone'}`
        if (byte !== null && value?.some((each) => each !== byte)) return `WRONG: ${path} is altered`
      }
      if (!again) for (let i = 0; i < 4; i++) await store.write([{ path: `more/${i}`, value: Buffer.alloc(5_000) }])
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
