import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { NODE_FLAGS } from './flags.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What a program prints, given flags. */
async function printed(flags: readonly string[], program: string): Promise<unknown> {
  const words = [...flags, '--input-type=module', '--eval', program]
  const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: ROOT })
  return JSON.parse(stdout)
}

const both = (program: string) => Promise.all([printed(NODE_FLAGS, program), printed([], program)])

test('modules are the same with and without quick imports', async () => {
  const names = ['drizzle-orm', 'drizzle-orm/pg-core', 'drizzle-orm/node-postgres', 'zod', 'pg', './state/database.ts']
  const [quick, plain] = await both(`
    const found = {}
    for (const name of ${JSON.stringify(names)}) {
      found[name] = Object.entries(await import(name)).map(([key, value]) => [key, typeof value])
    }
    console.log(JSON.stringify(found))
  `)
  assert.deepEqual(quick, plain)
})

test('what zod finds wrong is said in the same words with and without quick imports', async () => {
  const [quick, plain] = await both(`
    const { z } = await import('zod')
    const shape = z.strictObject({ size: z.int().min(3), name: z.string(), place: z.enum(['here', 'there']) })
    console.log(JSON.stringify(z.prettifyError(shape.safeParse({ size: 1, more: true, place: 'x' }).error)))
  `)
  assert.match(String(quick), /expected number to be >=3/)
  assert.equal(quick, plain)
})

test('node:http has all but its WebSocket client, which is loaded with it no more', async () => {
  const program = `
    const http = await import('node:http')
    console.log(JSON.stringify({
      names: Object.keys(http).filter((name) => !['WebSocket', 'CloseEvent', 'MessageEvent'].includes(name)),
      undici: process.moduleLoadList.some((name) => name.endsWith('undici/undici')),
      global: typeof WebSocket,
    }))
  `
  const [quick, plain] = (await both(program)) as [Record<string, unknown>, Record<string, unknown>]
  assert.deepEqual(quick, { ...plain, undici: false })
  assert.equal(plain['undici'], true)
})

test('a file that is not there is named', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'strongroom-test-'))
  t.after(() => rm(dir, { recursive: true }))
  const program = join(dir, 'program.ts')
  await writeFile(program, `import './nowhere.ts'`)
  await assert.rejects(promisify(execFile)(process.execPath, [...NODE_FLAGS, program]), /nowhere\.ts/)
})
