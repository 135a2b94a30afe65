/** The product with real HSMs that change their type and back, and that are tampered with, damaged and lost. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createPublicKey, verify } from 'node:crypto'
import { mkdtemp, open, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import type { CloudHSMV2, Cluster, Hsm } from '@aws-sdk/client-cloudhsm-v2'
import { z } from 'zod'
import { signed } from '../api/testing/signer.ts'
import { createClient, type Client } from '../clients/sdk/client.ts'
import { PLACES } from '../infra/places.ts'
import { isAlive } from '../infra/processes/identity.ts'
import { HSM_FILES } from '../provider-schema/hsm-directory.ts'
import {
  addHsm,
  createCluster,
  customerCa,
  describeCluster,
  initialize,
  inState,
  readyBackups,
  untilCluster,
  withHsms,
  type CustomerCa,
} from './support/life-of-a-cluster.ts'
import { chanceOf } from './support/chance.ts'
import { regionPid } from './support/processes.ts'
import { ROOT, startProduct, untilTrue, type Product } from './support/product.ts'

const DATA = Buffer.from('pay 100 EUR')
const MECHANISM = { name: 'rsa-pkcs', hash: 'sha256' } as const
const ADMIN = { username: 'admin', role: 'admin', password: 'adminpass1' } as const
const ALICE = { username: 'alice', role: 'crypto-user', password: 'alicepass1' } as const
const REGION = 'us-east-1'

const CONFIGURATION = { recovery: { lostSeconds: 1 }, hsmTypeChange: { oldestClients: { billing: '2.0' } } }

/** Members that the pinned SDK does not know yet. */
const described = z.object({
  HsmType: z.string(),
  HsmTypeRollbackExpiration: z.number().optional(),
  Hsms: z.array(z.object({ HsmId: z.string(), HsmType: z.string(), EniId: z.string(), EniIp: z.string() })),
})
type Described = z.infer<typeof described>

describe('hsm1.medium and lost HSMs', { timeout: 600_000 }, () => {
  let product: Product
  let aws: CloudHSMV2
  let ca: CustomerCa
  let client: Client
  let clusterId: string
  let key: { readonly handle: string; readonly spki: Uint8Array }

  before(async () => {
    const data = await mkdtemp(join(tmpdir(), 'strongroom-test-'))
    await writeFile(join(data, PLACES.configuration), JSON.stringify(CONFIGURATION))
    product = await startProduct({ data, flags: ['--allow-hsm1'] })
    aws = product.aws()
    ca = await customerCa()
    clusterId = (await createCluster(aws, undefined, 'hsm1.medium')).ClusterId ?? ''
    const { Hsms = [] } = await addHsm(aws, clusterId)
    await initialize(aws, clusterId, ca)
    client = await createClient({
      servers: [{ hostname: Hsms[0]?.EniIp ?? '', port: 2223 }],
      caFile: ca.certificateFile,
    })
    await client.activate(ADMIN.password)
    await client.login(ADMIN)
    await client.users.create(ALICE)
    await client.logout()
    await untilCluster(aws, clusterId, inState('ACTIVE'))
    await addHsm(aws, clusterId, 1)
    await client.login(ALICE)
    key = await newKey('before')
  })
  after(async () => {
    await client.close()
    await product.dispose()
    await ca.dispose()
  })

  async function newKey(label: string) {
    const { privateKey } = await client.keys.generateRsa({
      modulusBits: 2048,
      publicExponent: 65537,
      publicAttributes: { verify: true, label: `${label}-public` },
      privateAttributes: { sign: true, label },
    })
    return { handle: privateKey.handle, spki: await client.keys.publicKey(privateKey.handle) }
  }

  async function sign(by: Client = client): Promise<void> {
    const signature = await by.sign(key.handle, MECHANISM, DATA)
    const spki = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' })
    assert.ok(verify('sha256', DATA, spki, signature))
  }

  /** Signs without a pause while something happens. Throws when a signature failed. */
  async function signingDuring(work: () => Promise<unknown>): Promise<void> {
    const state = { over: false }
    const load = (async () => {
      while (!state.over) await sign()
    })()
    await work().finally(() => (state.over = true))
    await load
  }

  const labels = async () => (await client.keys.find()).keys.map(({ attributes }) => attributes.label).toSorted()

  async function ask(operation: string, input: object): Promise<unknown> {
    const body = JSON.stringify(input)
    const headers = signed({
      host: `127.0.0.1:${product.port}`,
      body,
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `BaldrApiService.${operation}` },
    })
    const reply = await fetch(product.url, { method: 'POST', headers, body })
    const text = await reply.text()
    assert.equal(reply.status, 200, text)
    return JSON.parse(text)
  }

  async function shown(): Promise<Described> {
    const answer = await ask('DescribeClusters', { Filters: { clusterIds: [clusterId] } })
    const [cluster] = z.object({ Clusters: z.array(described) }).parse(answer).Clusters
    assert.ok(cluster)
    return cluster
  }

  const places = (hsms: Described['Hsms']) => hsms.map(({ EniId, EniIp }) => [EniId, EniIp])

  test('two HSMs become hsm2m.medium one at a time, in their places, while a client signs', async () => {
    const before = await shown()
    const backups = (await readyBackups(aws, clusterId)).length
    await signingDuring(async () => {
      await ask('ModifyCluster', { ClusterId: clusterId, HsmType: 'hsm2m.medium' })
      await assert.rejects(aws.createHsm({ ClusterId: clusterId, AvailabilityZone: 'us-east-1a' }), /cannot be created/)
      await untilTrue(() => limited(), { seconds: 30, what: () => 'writes are not limited' })
      const done = await untilCluster(aws, clusterId, (cluster) => cluster.State !== 'MODIFY_IN_PROGRESS', 120)
      assert.equal(done.State, 'ACTIVE', String(done.StateMessage))
    })
    const now = await shown()
    assert.equal(now.HsmType, 'hsm2m.medium')
    assert.ok((now.HsmTypeRollbackExpiration ?? 0) > Date.now() / 1000)
    assert.deepEqual(
      now.Hsms.map((hsm) => hsm.HsmType),
      ['hsm2m.medium', 'hsm2m.medium'],
    )
    assert.deepEqual(places(now.Hsms), places(before.Hsms))
    for (const { HsmId } of before.Hsms) assert.ok(now.Hsms.every((hsm) => hsm.HsmId !== HsmId))
    assert.equal((await readyBackups(aws, clusterId)).length, backups + 2)
    await untilWritable()
    await newKey('after')
    assert.deepEqual(await labels(), ['after', 'after-public', 'before', 'before-public'])
  })

  /** Whether an HSM refuses changes because of the change. Asks for one that it would refuse anyway: nothing is left of it. */
  async function limited(): Promise<boolean> {
    const why: unknown = await client.keys.share(key.handle, 'nobody').catch((error: unknown) => error)
    return /limited-write mode/.test(String(why))
  }

  /** A client is told of the end by its HSMs, after the API has shown it. */
  async function untilWritable(): Promise<void> {
    await untilTrue(
      async () => {
        const made = await client.keys.generateAes({ lengthBytes: 16, attributes: {} }).catch(() => undefined)
        if (made) await client.keys.delete(made.handle)
        return made !== undefined
      },
      { seconds: 30, what: () => 'no key can be made' },
    )
  }

  test('the rollback brings back the type and the keys from before, and keeps what it takes away in a backup', async () => {
    const before = await shown()
    await signingDuring(async () => {
      await ask('ModifyCluster', { ClusterId: clusterId, HsmType: 'hsm1.medium' })
      const done = await untilCluster(aws, clusterId, (cluster) => cluster.State !== 'ROLLBACK_IN_PROGRESS', 120)
      assert.equal(done.State, 'ACTIVE', String(done.StateMessage))
    })
    const now = await shown()
    assert.deepEqual([now.HsmType, now.HsmTypeRollbackExpiration], ['hsm1.medium', undefined])
    assert.deepEqual(places(now.Hsms), places(before.Hsms))
    await untilWritable()
    assert.deepEqual(await labels(), ['before', 'before-public'])
    await sign()
  })

  test('the change goes on where it was although the process of the region is killed three times in the middle', async () => {
    const seed = Number(process.env['STRONGROOM_SEED'] ?? Date.now() % 2 ** 31)
    const chance = chanceOf(seed)
    const before = await shown()
    const steps = await stepsDone()
    await ask('ModifyCluster', { ClusterId: clusterId, HsmType: 'hsm2m.medium' })
    let next = steps
    for (let kill = 1; kill <= 3; kill++) {
      next = Math.max(next, await stepsDone()) + 1 + Math.floor(chance() * 7)
      await untilTrue(async () => (await stepsDone()) >= next, {
        seconds: 120,
        everyMs: 10,
        what: () => `seed ${seed}: the change does not go on before kill ${kill}\n${product.output()}`,
      })
      process.kill(await regionPid(product), 'SIGKILL')
      await untilTrue(
        () =>
          shown().then(
            () => true,
            () => false,
          ),
        {
          seconds: 60,
          what: () => `seed ${seed}: the API did not come back\n${product.output()}`,
        },
      )
    }
    const done = await untilCluster(aws, clusterId, (cluster) => cluster.State !== 'MODIFY_IN_PROGRESS', 180)
    const now = await shown()
    const types = now.Hsms.map((hsm) => hsm.HsmType)
    assert.deepEqual(
      [done.State, ...types],
      ['ACTIVE', 'hsm2m.medium', 'hsm2m.medium'],
      `seed ${seed}: ${done.StateMessage}`,
    )
    assert.deepEqual(places(now.Hsms), places(before.Hsms))
    await untilWritable()
    assert.deepEqual(await labels(), ['before', 'before-public'])
    for (const { HsmId } of now.Hsms) {
      assert.ok(before.Hsms.every((hsm) => hsm.HsmId !== HsmId))
    }
    for (const hsm of (await describeCluster(aws, clusterId)).Hsms ?? []) await signsThrough(hsm)
  })

  /** Steps that the jobs of the region have taken so far, by its log. */
  async function stepsDone(): Promise<number> {
    const log = await readFile(join(product.data, PLACES.logs, `${REGION}.log`), 'utf8')
    return log.split('\n').filter((line) => line.includes('"msg":"step"')).length
  }

  const dirOf = (id: string | undefined) => join(product.data, PLACES.regions, REGION, 'hsms', id ?? '')
  async function pidOf(id: string | undefined): Promise<number> {
    const text = await readFile(join(dirOf(id), HSM_FILES.running), 'utf8')
    return z.object({ pid: z.number() }).parse(JSON.parse(text)).pid
  }
  const tamper = (id: string | undefined) =>
    promisify(execFile)(join(ROOT, 'bin/strongroom'), ['hsm', 'tamper', id ?? '', '--data', product.data])

  /** The HSM in the place of one that is gone, once it is ACTIVE; until then DescribeClusters has told why. */
  async function replacementOf(gone: Hsm | undefined, why: RegExp): Promise<Hsm> {
    const inPlace = ({ Hsms = [] }: Cluster) => Hsms.find(({ EniId }) => EniId === gone?.EniId)
    const told = new Set<string>()
    const cluster = await untilCluster(aws, clusterId, (each) => {
      const hsm = inPlace(each)
      told.add(hsm?.StateMessage ?? '')
      return hsm !== undefined && hsm.HsmId !== gone?.HsmId && hsm.State === 'ACTIVE'
    })
    const hsm = inPlace(cluster)
    assert.ok(hsm)
    assert.match([...told].join('\n'), why)
    assert.equal(hsm.EniIp, gone?.EniIp)
    assert.equal(hsm.SubnetId, gone?.SubnetId)
    await untilCluster(aws, clusterId, withHsms(cluster.Hsms?.length ?? 0))
    return hsm
  }

  /** That a client which knows this HSM alone can sign. */
  async function signsThrough(hsm: Hsm, clientName?: string): Promise<void> {
    const own = await createClient({
      servers: [{ hostname: hsm.EniIp ?? '', port: 2223 }],
      caFile: ca.certificateFile,
      requireTwoCopies: false,
      clientName,
    })
    try {
      await own.login(ALICE)
      await sign(own)
    } finally {
      await own.close()
    }
  }

  test('a tampered HSM has lost its keys before the command returns; another takes its place and signs', async () => {
    const { Hsms = [] } = await describeCluster(aws, clusterId)
    const [victim] = Hsms
    const pid = await pidOf(victim?.HsmId)
    const { stdout } = await tamper(victim?.HsmId)
    assert.match(stdout, /are destroyed/)
    assert.equal(await isAlive(pid), false, 'what was in its memory is gone with it')
    const left: string[] = await readdir(dirOf(victim?.HsmId)).catch(() => [])
    for (const name of ['seal.key', 'store', HSM_FILES.deviceChain]) assert.equal(left.includes(name), false, name)
    const replacement = await replacementOf(victim, /The tamper response of the HSM has destroyed its keys/)
    await signsThrough(replacement)
    await sign()
    assert.equal((await readdir(dirOf(victim?.HsmId)).catch(() => [])).length, 0, 'nothing is left of it')
  })

  test('an HSM whose store is damaged is replaced, its content comes from the others', async () => {
    const { Hsms = [] } = await describeCluster(aws, clusterId)
    const victim = Hsms[1]
    const pid = await pidOf(victim?.HsmId)
    const store = await open(join(dirOf(victim?.HsmId), 'store', 'data.mdb'), 'r+')
    process.kill(pid, 'SIGKILL')
    await store.truncate(100)
    await store.close()
    await signsThrough(await replacementOf(victim, /The HSM cannot start: the sealed store .*; its log says more/))
  })

  test('an HSM whose directory is gone is replaced', async () => {
    const { Hsms = [] } = await describeCluster(aws, clusterId)
    const victim = Hsms[0]
    const pid = await pidOf(victim?.HsmId)
    await rename(dirOf(victim?.HsmId), join(product.data, 'taken-away'))
    process.kill(pid, 'SIGKILL')
    await signsThrough(await replacementOf(victim, /The directory of the HSM is gone from its host/))
  })

  test('the only HSM, tampered with, comes back from the newest backup and says what is lost', async () => {
    const { Hsms = [] } = await describeCluster(aws, clusterId)
    await aws.deleteHsm({ ClusterId: clusterId, HsmId: Hsms[1]?.HsmId ?? '' })
    await untilCluster(aws, clusterId, withHsms(1))
    const [newest] = await readyBackups(aws, clusterId)
    await tamper(Hsms[0]?.HsmId)
    const replacement = await replacementOf(Hsms[0], /has destroyed its keys/)
    assert.ok(
      replacement.StateMessage?.includes(`the backup ${newest?.BackupId} of`) &&
        replacement.StateMessage.endsWith('what was written since is lost.'),
      String(replacement.StateMessage),
    )
    await signsThrough(replacement)
  })

  test('a change is taken back at once when a client was there whose version is not wanted', async () => {
    await ask('ModifyCluster', { ClusterId: clusterId, HsmType: 'hsm1.medium' })
    await untilCluster(aws, clusterId, inState('ACTIVE'))
    const before = await shown()
    assert.equal(before.HsmType, 'hsm1.medium')
    const { Hsms = [] } = await describeCluster(aws, clusterId)
    assert.ok(Hsms[0])
    await signsThrough(Hsms[0], 'billing/1.9')
    await ask('ModifyCluster', { ClusterId: clusterId, HsmType: 'hsm2m.medium' })
    const reverted = await untilCluster(aws, clusterId, inState('ACTIVE'))
    assert.match(
      String(reverted.StateMessage),
      /The change to hsm2m\.medium is undone\. .* billing 1\.9 \(2\.0 is needed\)/,
    )
    assert.deepEqual(await shown(), before)
    await untilTrue(async () => !(await limited()), { seconds: 30, what: () => 'writes are still limited' })
  })

  test('a command that names no HSM of the directory changes nothing and says so', async () => {
    for (const id of ['hsm-aaaaaaaaaaa', '../../etc']) {
      await assert.rejects(tamper(id), /There is no HSM .*hsm list/s)
    }
    const { stdout } = await promisify(execFile)(join(ROOT, 'bin/strongroom'), ['hsm', 'list', '--data', product.data])
    assert.match(stdout, /^HSM +REGION +STATE/)
    assert.match(stdout, /hsm-\S+ +us-east-1 +running/)
  })
})
