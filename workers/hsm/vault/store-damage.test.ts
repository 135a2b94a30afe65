/** A store with a flipped bit: it holds everything that was acknowledged, or is refused with what is wrong and what to do. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { HOW_TO_RECOVER, sealKeyOf, VaultDamaged } from './seal.ts'
import { openSealedStore } from './sealed-store.ts'

const PROGRAM = fileURLToPath(new URL('./testing/flip-and-open.ts', import.meta.url))
const PAGE = 4096
let good: string
let pages: number

before(async () => {
  good = await mkdtemp(join(tmpdir(), 'store-damage-'))
  const store = await openSealedStore({ directory: good, sealKey: await sealKeyOf(good), hsmId: 'hsm-a' })
  const expected: Record<string, number | null> = {}
  for (let i = 0; i < 24; i++) {
    expected[`keys/${i}`] = i
    // Some are longer than a page and get pages of their own.
    await store.write([{ path: `keys/${i}`, value: Buffer.alloc(i % 8 === 0 ? 9_000 : 500, i) }])
  }
  for (let i = 0; i < 24; i += 5) {
    expected[`keys/${i}`] = null
    await store.write([{ path: `keys/${i}`, value: undefined }])
  }
  await store.close()
  await writeFile(join(good, 'expected.json'), JSON.stringify(expected))
  pages = (await readFile(join(good, 'store', 'data.mdb'))).length / PAGE
})
after(() => rm(good, { recursive: true, force: true }))

/** The outcome of each case; `died` in it when the process did not outlive the first attempt. */
async function outcomes(cases: readonly string[]): Promise<string[]> {
  const found: string[] = []
  let died = 0
  while (found.length < cases.length) {
    const how = died > 0 ? 'again' : 'anew'
    const child = spawn(process.execPath, [PROGRAM, good, String(found.length), how, ...cases], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece))
    await once(child, 'close')
    for (const line of text.split('\n').slice(0, -1)) {
      found.push(`${died > 0 ? 'died, then ' : ''}${line.slice(line.indexOf(' ') + 1)}`)
      died = 0
    }
    if (found.length < cases.length) died += 1
    // The second start must not die of it too: an HSM that dies at every start never says why.
    if (died > 1) {
      found.push('DIED AGAIN')
      died = 0
    }
  }
  return found
}

function requireSaid(cases: readonly string[], found: readonly string[]): void {
  for (const [i, said] of found.entries()) {
    assert.match(
      said,
      /whole$|refused: the sealed store .*(is damaged|cannot be opened|cannot be read)|refused: the HSM could not store the change/,
      `${cases[i]}: ${said}`,
    )
    if (said.includes('refused')) assert.ok(said.includes(HOW_TO_RECOVER), said)
  }
}

test('a flipped bit in any page, of data, of the tree or of the list of free pages', async () => {
  const cases = Array.from({ length: pages - 2 }, (_, page) =>
    [10, 14, 18, 24, 400].map((at, i) => `${(page + 2) * PAGE + at}.${i}`),
  )
  const all = cases.flat()
  const found = await outcomes(all)
  requireSaid(all, found)
  assert.ok(found.some((said) => said === 'whole'))
  assert.ok(found.some((said) => said.startsWith('refused')))
})

test('a flipped bit in either page at the head never brings back an older state', async () => {
  const offsets = [0, 10, 24, 28, 40, 48, 52, 88, 96, 100, 112, 120, 128, 136, 138, 144, 152, 153, 156, 159]
  const all = [0, 1].flatMap((page) => offsets.flatMap((at) => [0, 1, 6].map((bit) => `${page * PAGE + at}.${bit}`)))
  const found = await outcomes(all)
  requireSaid(all, found)
  for (const [i, each] of all.entries()) {
    const isTransaction = Math.floor(Number(each)) % PAGE >= 152
    if (isTransaction)
      assert.match(found[i] ?? '', /changes do not follow each other|newest changes are gone|^whole$/, each)
  }
})

test('a store file cut short at any page is refused', async () => {
  const path = join(good, 'store', 'data.mdb')
  const content = await readFile(path)
  try {
    for (const bytes of [100, PAGE, PAGE + 100]) {
      await truncate(path, bytes)
      const open = async () => openSealedStore({ directory: good, sealKey: await sealKeyOf(good), hsmId: 'hsm-a' })
      await assert.rejects(open(), VaultDamaged)
      await writeFile(path, content)
    }
  } finally {
    await writeFile(path, content)
  }
})
