import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CloudHSMV2 } from '@aws-sdk/client-cloudhsm-v2'
import { createClient, type Client } from '../clients/sdk/client.ts'
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
  zoneOf,
  type CustomerCa,
} from './support/life-of-a-cluster.ts'
import { hsmPids, postgresPid, regionPid } from './support/processes.ts'
import { startProduct, untilTrue, type Product } from './support/product.ts'

const DATA = Buffer.from('pay 100 EUR')
const MECHANISM = { name: 'rsa-pkcs', hash: 'sha256' } as const
const ALICE = { username: 'alice', role: 'crypto-user', password: 'alicepass1' } as const

describe('a running product of which something is killed', { timeout: 300_000 }, () => {
  let product: Product
  let aws: CloudHSMV2
  let ca: CustomerCa
  let client: Client
  let clusterId: string
  let key: { readonly handle: string; readonly spki: Uint8Array }

  before(async () => {
    product = await startProduct()
    aws = product.aws()
    ca = await customerCa()
    const cluster = await createCluster(aws)
    assert.ok(cluster.ClusterId)
    clusterId = cluster.ClusterId
    const { Hsms = [] } = await addHsm(aws, clusterId)
    await initialize(aws, clusterId, ca)
    client = await createClient({
      servers: [{ hostname: Hsms[0]?.EniIp ?? '', port: 2223 }],
      caFile: ca.certificateFile,
    })
    await client.activate('adminpass1')
    await client.login({ username: 'admin', role: 'admin', password: 'adminpass1' })
    await client.users.create(ALICE)
    await client.logout()
    await untilCluster(aws, clusterId, inState('ACTIVE'))
    await addHsm(aws, clusterId, 1)
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
    await product.dispose()
    await ca.dispose()
  })

  const sign = async () => {
    const signature = await client.sign(key.handle, MECHANISM, DATA)
    const spki = createPublicKey({ key: Buffer.from(key.spki), format: 'der', type: 'spki' })
    assert.ok(verify('sha256', DATA, spki, signature))
  }

  /** Signs without a pause while something happens; gives how many signatures were made. Throws when one failed. */
  async function signingDuring(work: () => Promise<unknown>): Promise<number> {
    let over = false
    let made = 0
    const load = (async () => {
      for (; !isOver(); made += 1) await sign()
    })()
    try {
      await work()
    } finally {
      over = true
    }
    await load
    return made

    function isOver() {
      return over
    }
  }

  test('an HSM: no signature fails, and it comes back with everything', async () => {
    const [id, pid] = [...(await hsmPids(product))][0] ?? []
    assert.ok(id !== undefined && pid !== undefined)
    const made = await signingDuring(async () => {
      process.kill(pid, 'SIGKILL')
      await untilTrue(async () => ((await hsmPids(product)).get(id) ?? pid) !== pid, {
        seconds: 20,
        what: () => `${id} was not restarted`,
      })
    })
    assert.ok(made > 0)
    await untilCluster(aws, clusterId, withHsms(2))
    await untilTrue(() => Promise.resolve(client.hsms().every((hsm) => hsm.connected && hsm.loggedIn)), {
      seconds: 20,
      what: () => JSON.stringify(client.hsms()),
    })
  })

  test('the region process: HSMs keep signing, and the API is back in seconds', async () => {
    const pids = await hsmPids(product)
    const made = await signingDuring(async () => {
      process.kill(await regionPid(product), 'SIGKILL')
      await untilTrue(async () => (await aws.describeClusters({}).catch(() => undefined)) !== undefined, {
        seconds: 20,
        what: () => `the API did not come back:\n${product.output()}`,
      })
    })
    assert.ok(made > 0)
    assert.deepEqual(await hsmPids(product), pids, 'HSM processes are adopted, not restarted')
    await untilCluster(aws, clusterId, withHsms(2))
  })

  test('the region process, while an HSM is being created: it is created all the same', async () => {
    const cluster = await describeCluster(aws, clusterId)
    const { Hsm } = await aws.createHsm({ ClusterId: clusterId, AvailabilityZone: zoneOf(cluster, 0) })
    await sleep(150)
    process.kill(await regionPid(product), 'SIGKILL')
    const now = await untilCluster(aws, clusterId, withHsms(3))
    assert.ok(now.Hsms?.some((hsm) => hsm.HsmId === Hsm?.HsmId))
  })

  test('the region process, while an HSM is being deleted: it goes, after its backup', async () => {
    const { Hsms = [] } = await describeCluster(aws, clusterId)
    const before = (await readyBackups(aws, clusterId)).length
    const leaving = Hsms[2]?.HsmId
    assert.ok(leaving)
    await aws.deleteHsm({ ClusterId: clusterId, HsmId: leaving })
    await sleep(100)
    process.kill(await regionPid(product), 'SIGKILL')
    await untilCluster(aws, clusterId, withHsms(2))
    assert.ok((await readyBackups(aws, clusterId)).length > before)
    await sign()
  })

  test('PostgreSQL: HSMs keep signing, keys can be made, and the API is back in seconds with all it had', async () => {
    const before = await describeCluster(aws, clusterId)
    const made = await signingDuring(async () => {
      process.kill(await postgresPid(product), 'SIGKILL')
      const made = await client.keys.generateAes({ lengthBytes: 32, attributes: { label: 'made-without-a-database' } })
      assert.equal(made.coverage, 'full')
      await untilTrue(async () => (await aws.describeClusters({}).catch(() => undefined)) !== undefined, {
        seconds: 20,
        what: () => `the API did not come back:\n${product.output()}`,
      })
    })
    assert.ok(made > 0)
    const now = await untilCluster(aws, clusterId, withHsms(2))
    assert.deepEqual(now.SubnetMapping, before.SubnetMapping)
    assert.deepEqual(now.Certificates, before.Certificates)
  })

  test('everything at once: the next start has the cluster, the users and the keys', async () => {
    const pids = [...(await hsmPids(product)).values(), await regionPid(product), await postgresPid(product)]
    product.process.kill('SIGKILL')
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    product = await product.again()
    aws = product.aws()
    await untilCluster(aws, clusterId, withHsms(2))
    await untilTrue(
      () =>
        sign().then(
          () => true,
          () => false,
        ),
      { seconds: 20, what: () => JSON.stringify(client.hsms()) },
    )
    const { total } = await client.keys.find({ attributes: { label: 'made-without-a-database' } })
    assert.equal(total, 1)
  })
})
