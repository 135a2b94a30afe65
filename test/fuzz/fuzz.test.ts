import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { backups } from './backups.ts'
import { frames } from './frames.ts'
import { Found, fuzz, replay } from './fuzz.ts'
import type { FuzzTarget } from './target.ts'
import { askedFor, HELP, Usage } from './words.ts'

/** For each of both targets; hours by hand: `npm run fuzz`. */
const SECONDS = 10
/** The same every time: a run that fails fails again. What new seeds find is kept. */
const SEED = 20_261_124

async function findNothing(target: FuzzTarget): Promise<void> {
  const tried = await fuzz(target, { seconds: SECONDS, seed: SEED })
  assert.ok(tried > 100, `only ${tried} inputs in ${SECONDS} s`)
}

test('whatever is sent to a port is a request or closes the connection', () => findNothing(frames))

test('whatever lies in a backup file restores whole or is refused', async (t) => {
  const target = await backups()
  t.after(() => target.close?.())
  await findNothing(target)
})

test('for both there are inputs that were kept', async (t) => {
  const target = await backups()
  t.after(() => target.close?.())
  for (const each of [frames, target]) assert.ok((await replay(each)).length >= 20, each.name)
})

test('an input that fails is kept, and fails again by name until what it found is mended', async (t) => {
  const kept = await mkdtemp(join(tmpdir(), 'fuzz-kept-'))
  t.after(() => rm(kept, { recursive: true }))
  const ran: string[] = []
  const target = (mended: boolean): FuzzTarget => ({
    name: 'example',
    seeds: () => [Buffer.from('aaaaaaaa')],
    run(input) {
      ran.push(input.toString('latin1'))
      if (!mended && input.length > 8) throw new Error('longer than eight')
    },
  })
  const run = { seconds: 30, seed: 1, kept }
  await assert.rejects(fuzz(target(false), run), (error) => {
    assert.ok(error instanceof Found && error.cause instanceof Error)
    assert.match(error.message, /^example: input \d+ of seed 1 fails, and is kept as .*[0-9a-f]{16}\.bin$/)
    assert.equal(error.cause.message, 'longer than eight')
    return true
  })
  const found = ran.at(-1)
  const [file = ''] = await readdir(join(kept, 'example'))
  await assert.rejects(fuzz(target(false), { ...run, seed: 2 }), (error) => {
    assert.ok(error instanceof Found && error.message.includes(file), String(error))
    return true
  })
  assert.deepEqual(await readdir(join(kept, 'example')), [file])
  assert.deepEqual(
    (await replay(target(true), kept)).map((input) => input.toString('latin1')),
    [found],
  )
})

test('npm run fuzz says what it takes', () => {
  assert.equal(askedFor(['--help']), undefined)
  for (const word of ['--target', 'frames', 'backups', '--seconds', '--seed', 'test/fuzz/seeds/']) {
    assert.ok(HELP.includes(word), word)
  }
  assert.deepEqual(askedFor(['--target', 'backups', '--seconds', '1.5', '--seed', '7']), {
    targets: ['backups'],
    seconds: 1.5,
    seed: 7,
  })
  assert.deepEqual(askedFor([])?.targets, ['frames', 'backups'])
})

const wrong: readonly (readonly [string, RegExp])[] = [
  ['--target nothing', /^There is no target "nothing": there are frames and backups\.$/],
  ['--target constructor', /^There is no target "constructor"/],
  ['--seconds ten', /^--seconds "ten" is not a number from 0 to 604800\.$/],
  ['--seconds=-1', /^--seconds "-1" is not a number/],
  ['--seconds 1e9', /^--seconds "1e9" is not a number/],
  ['--seed 1.5', /^--seed "1\.5" is not a whole number from 0 to 4294967295\.$/],
  ['--second 1', /^Unknown option '--second'/],
  ['frames', /^Unexpected argument 'frames'/],
]
for (const [words, says] of wrong) {
  test(`npm run fuzz -- ${words}: says what is wrong`, () => {
    assert.throws(
      () => askedFor(words.split(' ')),
      (error) => error instanceof Usage && says.test(error.message),
    )
  })
}

test('wrong words end npm run fuzz without a stack', () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, '--target', 'nothing'], { encoding: 'utf8' })
  assert.deepEqual([status, stdout], [2, ''])
  assert.match(stderr, /^There is no target "nothing".*\n"npm run fuzz -- --help" tells more\.\n$/)
})
