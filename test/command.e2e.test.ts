import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { awsCli } from '../api/testing/aws-cli.ts'
import { commandLine, isAlive } from '../infra/processes/identity.ts'
import { addHsm, createCluster } from './support/life-of-a-cluster.ts'
import { hsmPids, postgresPid } from './support/processes.ts'
import { freePort, ROOT, startProduct, untilTrue, type Product } from './support/product.ts'

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `strongroom` with these words until it ends. */
const strongroom = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  run(join(ROOT, 'bin/strongroom'), args, env)

function run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { env: { ...process.env, ...env }, timeout: 60_000 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })
}

const temporary = () => mkdtemp(join(tmpdir(), 'strongroom-command-'))
const isGone = async (path: string) => !(await stat(path).then(Boolean, () => false))

async function untilGone(pid: number): Promise<void> {
  await untilTrue(async () => !(await isAlive(pid)), { seconds: 20, what: () => `process ${pid} lives on` })
}

describe('strongroom up', { timeout: 180_000 }, () => {
  let product: Product
  before(async () => {
    product = await startProduct({ regions: ['us-east-1', 'eu-west-1'] })
    await untilTrue(() => Promise.resolve(product.output().includes('FIPS')), { seconds: 10, what: product.output })
  })
  after(() => product.dispose())

  test('says where it is, what to use it with, and what it is not', () => {
    const said = product.output()
    for (const part of [
      product.url,
      product.data,
      'us-east-1, eu-west-1',
      'access key test',
      'export AWS_ENDPOINT_URL=',
    ]) {
      assert.ok(said.includes(part), part)
    }
    assert.match(said, /no FIPS certificate/)
  })

  test('refuses to start twice on the same data, and says which has them', async () => {
    const { code, stderr } = await strongroom(['up', '--data', product.data, '--port', '0'])
    assert.equal(code, 1)
    assert.ok(stderr.includes(`process ${String(product.process.pid)}, ${product.url}`), stderr)
  })

  test('says which Strongroom has the port', async () => {
    const data = await temporary()
    const { code, stderr } = await strongroom(['up', '--data', data, '--port', String(product.port)])
    assert.equal(code, 1)
    assert.match(stderr, /in use by another Strongroom/)
    assert.ok(stderr.includes(product.data), stderr)
    await rm(data, { recursive: true })
  })

  test('says so when another program has the port, and leaves nothing running', async () => {
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const data = await temporary()
    const { code, stderr } = await strongroom(['up', '--data', data, '--port', String(port)])
    server.close()
    assert.equal(code, 1)
    assert.ok(stderr.includes(`Port ${port} of 127.0.0.1 is in use by another program`), stderr)
    assert.match((await strongroom(['down', '--data', data])).stdout, /Nothing runs/)
    await rm(data, { recursive: true })
  })

  test('refuses to listen for everybody with credentials that everybody knows', async () => {
    const data = await temporary()
    const { code, stderr } = await strongroom(['up', '--data', data, '--listen', '0.0.0.0'])
    assert.equal(code, 1)
    assert.match(stderr, /default credentials/)
    await rm(data, { recursive: true })
  })

  test('answers for each region by the signature, and names the regions when there is no such one', async () => {
    for (const region of ['us-east-1', 'eu-west-1']) {
      assert.deepEqual((await product.aws(region).describeClusters({})).Clusters, [])
    }
    await assert.rejects(product.aws('ap-south-1').describeClusters({}), /This Strongroom has: us-east-1, eu-west-1/)
  })

  test('the commands it prints work as they are', { skip: awsCli().missing ?? false }, async () => {
    const commands = /in another terminal:\n\n(.*?)\n\n/s.exec(product.output())?.[1] ?? ''
    const { code, stdout, stderr } = await run('sh', ['-ec', commands])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /"Clusters": \[\s*\{/)
  })

  test('keeps its directory and its logs to itself', async () => {
    for (const name of await readdir(product.data)) {
      const { mode } = await stat(join(product.data, name))
      assert.equal(mode & 0o066, 0, `${name} has mode ${(mode & 0o777).toString(8)}`)
    }
    const secret = (await readFile(join(product.data, 'postgres/password'), 'utf8')).trim()
    for (const name of await readdir(join(product.data, 'logs'))) {
      assert.ok(!(await readFile(join(product.data, 'logs', name), 'utf8')).includes(secret), name)
    }
    for (const pid of [await postgresPid(product), product.process.pid ?? 0]) {
      assert.ok(!(await commandLine(pid))?.join(' ').includes(secret))
    }
  })

  test('is shown by status, spoken of by logs, and found well by the doctor', async () => {
    const status = await strongroom(['status', '--data', product.data])
    assert.equal(status.code, 0, status.stdout)
    for (const name of ['strongroom', 'postgres', 'us-east-1', 'eu-west-1'])
      assert.ok(status.stdout.includes(name), name)
    const logs = await strongroom(['logs', 'us-east-1', '--data', product.data])
    assert.match(logs.stdout, /us-east-1: the region listens/)
    const doctor = await strongroom(['doctor', '--data', product.data, '--port', String(product.port)])
    assert.equal(doctor.code, 0, doctor.stdout)
    assert.match(doctor.stdout, /ok +instance +ready at/)
  })

  test('has certificates to download', async () => {
    const response = await fetch(`${product.url}/_strongroom/pki/manufacturer-root.pem`)
    assert.match(await response.text(), /BEGIN CERTIFICATE/)
  })
})

describe('the life of a data directory', { timeout: 240_000 }, () => {
  test('Ctrl-C ends every process; the next start has everything again', async () => {
    const first = await startProduct()
    try {
      const cluster = await createCluster(first.aws())
      await addHsm(first.aws(), cluster.ClusterId ?? '')
      const pids = [await postgresPid(first), ...(await hsmPids(first)).values()]
      assert.equal(pids.length, 2)
      first.process.kill('SIGINT')
      const [code] = (await once(first.process, 'exit')) as [number | null]
      assert.equal(code, 0, first.output())
      for (const pid of pids) assert.equal(await isAlive(pid), false)
      const second = await first.again()
      const { Clusters = [] } = await second.aws().describeClusters({})
      assert.equal(Clusters[0]?.ClusterId, cluster.ClusterId)
      await untilTrue(async () => (await hsmPids(second)).size === 1, { seconds: 20, what: second.output })
      await second.stop()
    } finally {
      await first.dispose()
    }
  })

  test('kill -9 of the launcher leaves HSMs and PostgreSQL running; the next start takes them over', async () => {
    const first = await startProduct()
    try {
      const cluster = await createCluster(first.aws())
      await addHsm(first.aws(), cluster.ClusterId ?? '')
      const postgres = await postgresPid(first)
      const hsms = await hsmPids(first)
      assert.equal(hsms.size, 1)
      first.process.kill('SIGKILL')
      await once(first.process, 'exit')
      const second = await first.again()
      assert.equal(await postgresPid(second), postgres)
      assert.deepEqual(await hsmPids(second), hsms)
      const { Clusters = [] } = await second.aws().describeClusters({})
      assert.equal(Clusters[0]?.Hsms?.[0]?.State, 'ACTIVE')
      await second.stop()
      for (const pid of [postgres, ...hsms.values()]) assert.equal(await isAlive(pid), false)
    } finally {
      await first.dispose()
    }
  })

  test('down ends what a killed launcher left, and has nothing to do the second time', async () => {
    const product = await startProduct()
    try {
      const postgres = await postgresPid(product)
      product.process.kill('SIGKILL')
      await once(product.process, 'exit')
      const first = await strongroom(['down', '--data', product.data])
      assert.equal(first.code, 0, first.stderr)
      assert.match(first.stdout, /PostgreSQL/)
      assert.equal(await isAlive(postgres), false)
      const second = await strongroom(['down', '--data', product.data])
      assert.equal(second.code, 0)
      assert.match(second.stdout, /Nothing runs/)
    } finally {
      await product.dispose()
    }
  })

  test('down of what is no directory says so', async () => {
    const { code, stderr } = await strongroom(['down', '--data', join(ROOT, 'package.json')])
    assert.equal(code, 1)
    assert.match(stderr, /package\.json is a file, not a data directory/)
  })

  test('--detach returns when it is ready; down ends it', async () => {
    const data = await temporary()
    const port = String(await freePort())
    try {
      const up = await strongroom(['up', '--data', data, '--port', port, '--detach'])
      assert.equal(up.code, 0, up.stderr)
      assert.match(up.stdout, /is ready/)
      assert.ok(up.stdout.includes(`"strongroom down --data ${data}" ends it`), up.stdout)
      assert.equal((await fetch(`http://127.0.0.1:${port}/_strongroom/ready`)).status, 200)
      const said = join(data, 'logs', 'console.log')
      await appendFile(said, 'what it said\n')
      const again = await strongroom(['up', '--data', data, '--port', port, '--detach'])
      assert.equal(again.code, 1)
      assert.match(again.stderr, /runs on .* already/)
      assert.match(await readFile(said, 'utf8'), /what it said/, 'the one that runs still writes there')
      const down = await strongroom(['down', '--data', data])
      assert.match(down.stdout, /Stopped/)
      assert.equal((await strongroom(['status', '--data', data])).code, 3)
    } finally {
      await strongroom(['down', '--data', data])
      await rm(data, { recursive: true, force: true })
    }
  })

  test('--ephemeral leaves nothing behind', async () => {
    const child = spawn(join(ROOT, 'bin/strongroom'), ['up', '--ephemeral', '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    await untilTrue(() => Promise.resolve(said.includes('FIPS')), { seconds: 60, what: () => said })
    const data = /data +(\S+) \(removed at the end\)/.exec(said)?.[1]
    assert.ok(data)
    const postgres = Number((await readFile(join(data, 'postgres/data/postmaster.pid'), 'utf8')).split('\n')[0])
    child.kill('SIGTERM')
    await once(child, 'exit')
    await untilGone(postgres)
    assert.ok(await isGone(data))
  })
})
