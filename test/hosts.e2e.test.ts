/** One region whose HSMs run on hosts of their own, each a process of its own with a data directory of its own. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CloudHSMV2, type Hsm } from '@aws-sdk/client-cloudhsm-v2'
import { createClient, type Client } from '../clients/sdk/client.ts'
import { addressBlock } from '../infra/hosts/addresses.ts'
import { stopAll } from '../infra/hosts/host.ts'
import { findProcess } from '../infra/hosts/hsm-process.ts'
import { regionPlaces } from '../infra/region/places.ts'
import { openDatabase, type Database } from '../state/database.ts'
import { freshDatabase, type FreshDatabase } from './support/database.ts'
import {
  addHsm,
  createCluster,
  customerCa,
  describeCluster,
  initialize,
  inState,
  untilCluster,
  withHsms,
  type CustomerCa,
} from './support/life-of-a-cluster.ts'
import { freePort, ROOT, untilTrue } from './support/product.ts'

const REGION = 'us-east-1'
const DATA = Buffer.from('pay 100 EUR')
const ALICE = { username: 'alice', role: 'crypto-user', password: 'alicepass1' } as const
const skip = platform() === 'linux' ? false : 'only Linux has all of 127.0.0.0/8'

describe('a region with two hosts in one zone', { timeout: 300_000, skip }, () => {
  let root: string
  let fresh: FreshDatabase
  let database: Database
  let pool: string
  let aws: CloudHSMV2
  let ca: CustomerCa
  let client: Client
  let clusterId: string
  let key: { readonly handle: string; readonly spki: Uint8Array }
  const children: ChildProcess[] = []
  let output = ''

  const hsmsOf = (name: string) => regionPlaces(join(root, name), REGION).hsms

  function strongroom(...words: string[]): ChildProcess {
    const child = spawn(join(ROOT, 'bin/strongroom'), words, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)))
    children.push(child)
    return child
  }

  const startHost = (name: string) =>
    strongroom(
      'host',
      '--region',
      REGION,
      '--zones',
      `${REGION}a`,
      '--name',
      name,
      '--addresses',
      pool,
      '--data',
      join(root, name),
    )

  async function untilLive(name: string, live = true): Promise<void> {
    await untilTrue(async () => (await database.read.hosts.find(name))?.live === live, {
      seconds: 60,
      what: () => `${name} is ${live ? 'silent' : 'heard of'}:\n${output}`,
    })
  }

  async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'strongroom-hosts-'))
    fresh = await freshDatabase()
    database = openDatabase({ url: fresh.url })
    pool = `${await addressBlock(join(root, 'addresses.json'))}.0/24`
    ca = await customerCa()
    // Longer than a host takes to tell that the address of a lost HSM is free: every 6 s.
    const configuration = { region: { [REGION]: { databaseUrl: fresh.url } }, recovery: { lostSeconds: 8 } }
    for (const name of ['region', 'rack1', 'rack2']) {
      await mkdir(join(root, name), { recursive: true })
      await writeFile(join(root, name, 'strongroom.json'), JSON.stringify(configuration))
    }
    const port = await freePort()
    strongroom('region', '--region', REGION, '--data', join(root, 'region'), '--port', String(port), '--no-hsms')
    const endpoint = `http://127.0.0.1:${port}`
    await untilTrue(async () => (await fetch(`${endpoint}/_strongroom/ready`).catch(() => undefined))?.ok === true, {
      seconds: 60,
      what: () => `the region is not ready:\n${output}`,
    })
    aws = new CloudHSMV2({ endpoint, region: REGION, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } })
    for (const name of ['rack1', 'rack2']) {
      const [from, to] = [join(root, 'region', 'fleet'), join(root, name, 'fleet')]
      await mkdir(to)
      for (const file of (await readdir(from)).filter((each) => each.endsWith('.pem') || each === 'backup.key')) {
        await cp(join(from, file), join(to, file))
      }
      startHost(name)
    }
    await Promise.all(['rack1', 'rack2'].map((name) => untilLive(name)))
    const cluster = await createCluster(aws)
    clusterId = cluster.ClusterId ?? ''
    const { Hsms: [first] = [] } = await addHsm(aws, clusterId)
    await initialize(aws, clusterId, ca)
    // With one HSM of two away, keys are on one only: as at AWS, a client that insists on two would be refused meanwhile.
    client = await createClient({
      servers: [{ hostname: first?.EniIp ?? '', port: 2223 }],
      caFile: ca.certificateFile,
      requireTwoCopies: false,
    })
    await client.activate('adminpass1')
    await client.login({ username: 'admin', role: 'admin', password: 'adminpass1' })
    await client.users.create(ALICE)
    await client.logout()
    await untilCluster(aws, clusterId, inState('ACTIVE'))
    await addHsm(aws, clusterId)
    await client.login(ALICE)
    const { privateKey } = await client.keys.generateRsa({
      modulusBits: 2048,
      publicExponent: 65537,
      publicAttributes: { verify: true, label: 'pub' },
      privateAttributes: { sign: true, label: 'app-signing' },
    })
    key = { handle: privateKey.handle, spki: await client.keys.publicKey(privateKey.handle) }
  })
  after(async () => {
    await client.close()
    for (const child of children) await end(child, 'SIGTERM')
    for (const name of ['rack1', 'rack2']) await stopAll(hsmsOf(name))
    aws.destroy()
    await database.close()
    await fresh.drop()
    await ca.dispose()
    await rm(root, { recursive: true, force: true })
  })

  async function sign(by: Client): Promise<void> {
    const signature = await by.sign(key.handle, { name: 'rsa-pkcs', hash: 'sha256' }, DATA)
    const spki = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' })
    assert.ok(verify('sha256', DATA, spki, signature))
  }

  /** Signs again and again while something happens. Throws when one signature failed. */
  async function signingDuring(work: () => Promise<void>): Promise<number> {
    const over = new AbortController()
    let made = 0
    const load = (async () => {
      for (; !over.signal.aborted; made += 1) await sign(client).then(() => sleep(20))
    })()
    await Promise.all([work().finally(() => over.abort()), load])
    return made
  }

  test('an HSM is on each, a lost one is replaced on the other with its content, and comes back no more', async () => {
    assert.deepEqual(
      (await readdir(join(root, 'region/regions', REGION))).includes('hsms') && (await readdir(hsmsOf('region'))),
      [],
    )
    const [lostId, ...more] = await readdir(hsmsOf('rack1'))
    assert.ok(lostId !== undefined && more.length === 0)
    assert.equal((await readdir(hsmsOf('rack2'))).length, 1)
    const before = (await describeCluster(aws, clusterId)).Hsms?.find(({ HsmId }) => HsmId === lostId)
    const pid = await findProcess(join(hsmsOf('rack1'), lostId))
    assert.ok(pid !== undefined && before?.EniIp?.startsWith('127.') === true)

    let now: Hsm | undefined
    const made = await signingDuring(async () => {
      const agent = children[1]
      assert.ok(agent?.spawnargs.includes('rack1') === true)
      await end(agent, 'SIGKILL')
      await untilLive('rack1', false)
      assert.ok(withHsms(2)(await describeCluster(aws, clusterId)), 'an HSM does not need its host')
      process.kill(pid, 'SIGKILL')
      await untilCluster(aws, clusterId, ({ Hsms = [] }) => Hsms.some(({ State }) => State === 'DEGRADED'))
      const healed = await untilCluster(aws, clusterId, (cluster) =>
        Boolean(withHsms(2)(cluster) && cluster.Hsms?.every(({ HsmId }) => HsmId !== lostId)),
      )
      now = healed.Hsms?.find(({ EniId }) => EniId === before.EniId)
    })
    assert.ok(made > 0)
    assert.deepEqual([now?.EniIp, now?.AvailabilityZone], [before.EniIp, before.AvailabilityZone])
    assert.ok((await readdir(hsmsOf('rack2'))).includes(now?.HsmId ?? ''))
    const alone = await createClient({
      servers: [{ hostname: now?.EniIp ?? '', port: 2223 }],
      caFile: ca.certificateFile,
    })
    try {
      await alone.login(ALICE)
      await sign(alone)
    } finally {
      await alone.close()
    }

    startHost('rack1')
    await untilTrue(async () => (await readdir(hsmsOf('rack1'))).length === 0, {
      seconds: 60,
      what: () => `what was replaced is not removed:\n${output}`,
    })
    assert.ok(withHsms(2)(await describeCluster(aws, clusterId)))
    await sign(client)
  })
})
