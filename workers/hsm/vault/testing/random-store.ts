/** A sealed store with a content that a seed chooses, and where in its file LMDB's own bytes are. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chanceOf } from '../../../../test/support/chance.ts'
import { sealKeyOf } from '../seal.ts'
import { openSealedStore } from '../sealed-store.ts'

export const PAGE = 4096
const ROUNDS = 24
const HEADER = 24
const META_END = 168
const BRANCH = 1
const ELSEWHERE = 1
/** Bytes of a key of the tree of free pages. No entry of a random store has a name of that length. */
const LIST_KEY = 8

/**
 * A new directory with a store, and beside it in `expected.json` the byte each path's value consists of, `null` for what was
 * removed; in `before.mdb` and `long-before.mdb` the file as it was earlier. The seed chooses everything but the sealed bytes. Some seeds lead to a tree of three levels.
 */
export async function randomStore(seed: number): Promise<string> {
  const chance = chanceOf(seed)
  const below = (limit: number) => Math.floor(chance() * limit)
  const directory = await mkdtemp(join(tmpdir(), 'random-store-'))
  const store = await openSealedStore({ directory, sealKey: await sealKeyOf(directory), hsmId: 'hsm-a' })
  const data = join(directory, 'store', 'data.mdb')
  const expected: Record<string, number | null> = {}
  const names = [16, 40, 400, 1500][below(4)] ?? 16
  const together = names > 100 ? 200 : 1 + below(3)
  const longest = names > 100 ? 1_200 : 6_000
  for (let round = 0; round < ROUNDS; round++) {
    const changes = new Map<string, Buffer | undefined>()
    for (let i = 0; i < together; i++) {
      const name = below(names)
      const path = `keys/${'0'.repeat(name % 90)}${name}`
      const value = chance() < 0.3 ? undefined : Buffer.alloc(1 + below(longest), round)
      changes.set(path, value)
      expected[path] = value === undefined ? null : round
    }
    // A third of all at once: its freed pages make a list that is longer than a page.
    if (round === 20) {
      for (const path of Object.keys(expected).filter(() => chance() < 0.3)) {
        changes.set(path, undefined)
        expected[path] = null
      }
    }
    const earlier = { 12: 'long-before', [ROUNDS - 1]: 'before' }[round]
    if (earlier !== undefined) await writeFile(join(directory, `${earlier}.mdb`), await usedOf(data))
    await store.write([...changes].map(([path, value]) => ({ path, value })))
  }
  await store.close()
  await writeFile(data, await usedOf(data))
  await writeFile(join(directory, 'expected.json'), JSON.stringify(expected))
  return directory
}

/** Offsets of all bytes in use that are no sealed value, and one of each page that is not in use. */
export function structureOf(file: Buffer): number[] {
  const offsets = new Set<number>()
  const add = (from: number, bytes: number) => {
    for (let at = from; at < from + bytes; at++) offsets.add(at)
  }
  for (let page = 0; page < file.length; page += PAGE) add(page, page < 2 * PAGE ? META_END : 1)
  const head = headOf(file)
  for (const root of [head + 88, head + 136]) addTree(file, file.readUInt32LE(root), add)
  return [...offsets]
}

const headOf = (file: Buffer): number => (file.readUInt32LE(152) > file.readUInt32LE(PAGE + 152) ? 0 : PAGE)

/** What LMDB wrote of a file, without the room behind it. */
async function usedOf(path: string): Promise<Buffer> {
  const file = await readFile(path)
  return file.subarray(0, (file.readUInt32LE(headOf(file) + 144) + 1) * PAGE)
}

type Add = (from: number, bytes: number) => void

function addTree(file: Buffer, number: number, add: Add): void {
  const page = number * PAGE
  const count = file.readUInt16LE(page + 20) / 2
  add(page, HEADER + 2 * count)
  for (let i = 0; i < count; i++) {
    const node = page + HEADER + file.readUInt16LE(page + HEADER + 2 * i)
    const keyBytes = file.readUInt16LE(node + 6)
    add(node, 8 + keyBytes)
    if (file.readUInt16LE(page + 18) === BRANCH) addTree(file, file.readUInt32LE(node), add)
    else addValue(file, node, keyBytes, add)
  }
}

function addValue(file: Buffer, node: number, keyBytes: number, add: Add): void {
  const value = node + 8 + keyBytes
  const isList = keyBytes === LIST_KEY
  const bytes = file.readUInt32LE(node)
  if (file.readUInt16LE(node + 4) !== ELSEWHERE) add(value, isList ? bytes : 0)
  else {
    add(value, 24)
    add(file.readUInt32LE(value) * PAGE, HEADER + (isList ? bytes : 0))
  }
}
