import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { HSM_PORTS } from '../../provider-schema/limits.ts'
import { addressBlock, addressPool, bindable } from './addresses.ts'

const skip = platform() === 'linux' ? false : 'only Linux has all of 127.0.0.0/8'
const NONE: ReadonlySet<string> = new Set()

async function blockFile(t: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'addresses-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'addresses.json')
}

/** Listens where an HSM would, until the test ends. */
async function occupy(t: TestContext, address: string, port: number): Promise<void> {
  const server = createServer().listen(port, address)
  await once(server, 'listening')
  t.after(() => server.close())
}

test('a block is chosen once and stays', { skip }, async (t) => {
  const file = await blockFile(t)
  const block = await addressBlock(file)
  assert.match(block, /^127\.\d+\.\d+$/)
  assert.notEqual(block, '127.0.0')
  assert.equal(await addressBlock(file), block)
})

test('a file that names no block is refused by its name, and left as it is', async (t) => {
  const file = await blockFile(t)
  for (const content of ['', '{"block":"10.0.0"}', '{"block":"127.1.2"']) {
    await writeFile(file, content)
    await assert.rejects(addressBlock(file), { message: `${file} does not name a block of addresses` })
    assert.equal(await readFile(file, 'utf8'), content)
  }
})

test('addresses that are taken by a row or by somebody on this machine are passed over', { skip }, async (t) => {
  const block = await addressBlock(await blockFile(t))
  const pool = addressPool(block)
  await occupy(t, `${block}.2`, HSM_PORTS.management)
  assert.equal(await bindable(`${block}.2`), 'taken')
  const chosen = await pool.choose(new Set([`${block}.1`]), undefined)
  assert.deepEqual(chosen, { eniIp: `${block}.3`, listenIp: `${block}.3` })
})

test(
  'a requested address is used where it can be, else shown, with a note of where the HSM listens',
  { skip },
  async (t) => {
    const block = await addressBlock(await blockFile(t))
    const pool = addressPool(block)
    assert.deepEqual(await pool.choose(NONE, `${block}.77`), { eniIp: `${block}.77`, listenIp: `${block}.77` })
    assert.deepEqual(await pool.choose(NONE, '10.1.2.3'), {
      eniIp: '10.1.2.3',
      listenIp: `${block}.1`,
      note: `This machine cannot bind 10.1.2.3: the HSM listens on ${block}.1.`,
    })
    await occupy(t, `${block}.78`, HSM_PORTS.client)
    assert.equal((await pool.choose(NONE, `${block}.78`)).listenIp, `${block}.1`)
  },
)

test('a block that is used up says so', { skip }, async (t) => {
  const block = await addressBlock(await blockFile(t))
  const all = new Set(Array.from({ length: 254 }, (_, i) => `${block}.${i + 1}`))
  await assert.rejects(addressPool(block).choose(all, undefined), { message: `no address is left in ${block}.0/24` })
})

test('an address of another machine cannot be bound', async () => {
  assert.equal(await bindable('192.0.2.1'), 'impossible')
})
