/** A store with a flipped bit or a torn page: it holds everything that was acknowledged, or is refused with what is wrong and what to do. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chanceOf } from '../../../test/support/chance.ts'
import { HOW_TO_RECOVER } from './seal.ts'
import { PAGE, randomStore, structureOf } from './testing/random-store.ts'

const PROGRAM = fileURLToPath(new URL('./testing/flip-and-open.ts', import.meta.url))
/** By hand: other stores, more of them, and more bits of each (each has some 10,000 to 300,000). */
const SEED = Number(process.env['STRONGROOM_DAMAGE_SEED'] ?? 20_261_125)
const STORES = Number(process.env['STRONGROOM_DAMAGE_STORES'] ?? 1)
const BITS = Number(process.env['STRONGROOM_DAMAGE_BITS'] ?? 250)
const TORN = Number(process.env['STRONGROOM_DAMAGE_TORN'] ?? 100)

const stores = new Map<number, Promise<string>>()
const storeOf = (seed: number): Promise<string> => {
  const store = stores.get(seed) ?? randomStore(seed)
  stores.set(seed, store)
  return store
}
after(async () => {
  for (const store of stores.values()) await rm(await store, { recursive: true })
})

/** What came of each case. No case ends the process: an HSM that dies of its store never says why. */
async function outcomes(seed: number, cases: readonly string[]): Promise<Map<string, string>> {
  const child = spawn(process.execPath, [PROGRAM, await storeOf(seed)], { stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.end(cases.join('\n'))
  const lines = (await text(child.stdout)).split('\n').slice(0, -1)
  const found = new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
  for (const each of cases) {
    const said = found.get(each) ?? 'the process died'
    assert.match(
      said,
      /^whole$|refused: the sealed store .*(is damaged|cannot be opened|cannot be read)|refused: the HSM could not store the change/,
      `STRONGROOM_DAMAGE_SEED=${seed}, damaged by ${each}: ${said}`,
    )
    if (said.includes('refused')) assert.ok(said.includes(HOW_TO_RECOVER), said)
  }
  return found
}

for (let seed = SEED; seed < SEED + STORES; seed++) {
  test(`a flipped bit in any page, of data, of the tree or of the list of free pages (seed ${seed})`, async (context) => {
    const file = await readFile(join(await storeOf(seed), 'store', 'data.mdb'))
    const bits = structureOf(file).flatMap((at) => Array.from({ length: 8 }, (_, bit) => `${at}.${bit}`))
    const chance = chanceOf(seed)
    const cases = bits.filter(() => chance() < BITS / bits.length)
    const found = [...(await outcomes(seed, cases)).values()]
    const whole = found.filter((said) => said === 'whole').length
    context.diagnostic(`${file.length / PAGE} pages, ${cases.length} of ${bits.length} bits, ${whole} without harm`)
    assert.ok(whole > 0)
    assert.ok(whole < found.length)
  })

  test(`a page of any kind that is zeros, older, or half of each, and writes that were lost (seed ${seed})`, async (context) => {
    const { length } = await readFile(join(await storeOf(seed), 'store', 'data.mdb'))
    const pages = Array.from({ length: length / PAGE }, (_, page) => page * PAGE)
    const half = PAGE / 2
    const torn = pages.flatMap((at) =>
      ['zeros', 'before', 'long-before'].flatMap((kind) =>
        [at, at + half].flatMap((from) => [`${kind}:${from}-${from + half}`, `${kind}:${at}-${at + PAGE}`]),
      ),
    )
    const chance = chanceOf(seed)
    const cases = new Set([
      // Both pages at the head, in every way; of the others some.
      ...torn.filter((_, i) => i < 24 || chance() < TORN / torn.length),
      // In the middle of what the pages at the head tell.
      ...[0, PAGE].flatMap((at) =>
        [100, 140, 150].flatMap((to) => [`before:${at}-${at + to}`, `zeros:${at + to}-${at + PAGE}`]),
      ),
      ...Array.from({ length: 24 }, (_, i) => `lost:${seed + i}`),
    ])
    const found = [...(await outcomes(seed, [...cases])).values()]
    const whole = found.filter((said) => said === 'whole').length
    context.diagnostic(`${cases.size} cases, ${whole} without harm`)
    assert.ok(whole > 0)
    assert.ok(whole < found.length)
  })
}

test('a flipped bit in either page at the head never brings back an older state', async () => {
  // Magic, version, page size, flags, roots and last page, and the transaction, which says which of the two counts.
  const offsets = [24, 28, 48, 53, 88, 136, 144, 152, 153, 156, 159]
  const all = [0, 1].flatMap((page) => offsets.flatMap((at) => [0, 5].map((bit) => `${page * PAGE + at}.${bit}`)))
  for (const [each, said] of await outcomes(SEED, all)) {
    const isTransaction = Math.floor(Number(each)) % PAGE >= 152
    if (isTransaction) assert.match(said, /changes do not follow each other|newest changes are gone|^whole$/, each)
  }
})

test('a store file cut short at any page is refused, unless nothing was in what it lacks', async () => {
  const { length } = await readFile(join(await storeOf(SEED), 'store', 'data.mdb'))
  const early = [100, PAGE, PAGE + 100, 5 * PAGE].map((bytes) => `cut:${bytes}`)
  for (const [each, said] of await outcomes(SEED, early)) assert.match(said, /is damaged/, each)
  await outcomes(SEED, [`cut:${length - PAGE}`, `cut:${length - 100}`])
})
