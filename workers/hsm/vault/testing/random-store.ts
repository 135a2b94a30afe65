/** A sealed store with a content that a seed chooses, and where in its file LMDB's own bytes are. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chanceOf } from '../../../../test/support/chance.ts'
import { sealKeyOf } from '../seal.ts'
import { openSealedStore } from '../sealed-store.ts'

export const PAGE = 4096
const HEADER = 24
const META_END = 168
const [BRANCH, LEAF, OVERFLOW] = [1, 2, 4]

/**
 * A new directory with a store, and beside it in `expected.json` the byte each path's value consists of, `null` for what was
 * removed. The seed chooses everything but the sealed bytes. Some seeds lead to a tree of three levels.
 */
export async function randomStore(seed: number): Promise<string> {
  const chance = chanceOf(seed)
  const below = (limit: number) => Math.floor(chance() * limit)
  const directory = await mkdtemp(join(tmpdir(), 'random-store-'))
  const store = await openSealedStore({ directory, sealKey: await sealKeyOf(directory), hsmId: 'hsm-a' })
  const expected: Record<string, number | null> = {}
  const names = [16, 40, 400, 1500][below(4)] ?? 16
  const together = names > 100 ? 200 : 1 + below(3)
  const longest = names > 100 ? 1_200 : 6_000
  for (let round = 0; round < 24; round++) {
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
    await store.write([...changes].map(([path, value]) => ({ path, value })))
  }
  await store.close()
  await writeFile(join(directory, 'expected.json'), JSON.stringify(expected))
  return directory
}

/** Offsets of all bytes that are no sealed value, besides what lies in pages that are not in use. */
export function structureOf(file: Buffer): number[] {
  const offsets = new Set<number>()
  const add = (from: number, bytes: number) => {
    for (let at = from; at < from + bytes; at++) offsets.add(at)
  }
  add(0, META_END)
  add(PAGE, META_END)
  for (let start = 2 * PAGE; start < file.length; start += PAGE) {
    const flags = file.readUInt16LE(start + 18)
    const isBegin = file.readUInt32LE(start) === start / PAGE
    if (isBegin && (flags === BRANCH || flags === LEAF)) addTreePage(file, start, flags, add)
    // Behind the header of a list of free pages come words, and where nothing is in use a byte will do.
    else add(start, isBegin && flags === OVERFLOW ? HEADER + 64 : 1)
  }
  return [...offsets]
}

function addTreePage(file: Buffer, start: number, flags: number, add: (from: number, bytes: number) => void): void {
  const count = file.readUInt16LE(start + 20) / 2
  add(start, HEADER + 2 * count)
  for (let i = 0; i < count; i++) {
    const node = start + HEADER + file.readUInt16LE(start + HEADER + 2 * i)
    const keyBytes = file.readUInt16LE(node + 6)
    const isList = keyBytes === 8
    const isElsewhere = file.readUInt16LE(node + 4) === 1
    add(node, 8 + keyBytes)
    if (flags === LEAF && isElsewhere) add(node + 8 + keyBytes, 24)
    else if (flags === LEAF && isList) add(node + 8 + keyBytes, file.readUInt16LE(node))
  }
}
