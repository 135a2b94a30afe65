import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Client } from 'pg'
import { pino } from 'pino'
import { startPostgres, type Postgres } from '../infra/postgres/postgres.ts'
import { createCluster } from './support/life-of-a-cluster.ts'
import { startProduct, untilTrue, type Product } from './support/product.ts'

/** A server that stands for the operator's: Strongroom knows nothing of it but its URL. */
describe('a PostgreSQL server of the operator', { timeout: 180_000 }, () => {
  let dir: string
  let server: Postgres
  let product: Product
  const base = `hsm_${randomBytes(4).toString('hex')}`

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'strongroom-own-'))
    server = await startPostgres({ dir, log: pino({ level: 'silent' }) })
    product = await startProduct({
      regions: ['us-east-1', 'eu-west-1'],
      env: { STRONGROOM_DATABASE_URL: server.url(base) },
    })
  })
  after(async () => {
    await product.dispose()
    await server.stop()
    await rm(dir, { recursive: true, force: true })
  })

  test('gets a database for each region, and no other server is started', async () => {
    const client = new Client({ connectionString: server.url('postgres') })
    await client.connect()
    const { rows } = await client.query<{ datname: string }>('select datname from pg_database where datname like $1', [
      `${base}%`,
    ])
    await client.end()
    assert.deepEqual(rows.map((row) => row.datname).toSorted(), [`${base}_eu_west_1`, `${base}_us_east_1`])
    await assert.rejects(rm(join(product.data, 'postgres')), { code: 'ENOENT' })
  })

  test('holds the state; away, requests are told to come again, and back, all is there', async () => {
    const aws = product.aws()
    const cluster = await createCluster(aws)
    const { port } = server
    await server.stop()
    const response = await fetch(`${product.url}/_strongroom/ready`)
    assert.equal(response.status, 503)
    await assert.rejects(aws.describeClusters({}), { name: 'ServiceUnavailableException' })
    server = await startPostgres({ dir, log: pino({ level: 'silent' }) })
    assert.equal(server.port, port)
    await untilTrue(async () => (await fetch(`${product.url}/_strongroom/ready`)).ok, {
      seconds: 20,
      what: () => 'not ready again',
    })
    const { Clusters = [] } = await aws.describeClusters({})
    assert.equal(Clusters[0]?.ClusterId, cluster.ClusterId)
  })

  test('refuses a second data directory, whose fleet has no part in what it tells of', async () => {
    const env = { STRONGROOM_DATABASE_URL: server.url(base) }
    await assert.rejects(
      startProduct({ regions: ['us-east-1'], env }),
      /The database of us-east-1 belongs to another fleet than the one in /,
    )
    assert.equal((await product.aws().describeClusters({})).Clusters?.length, 1)
  })

  test('may be away at the start: it is waited for', async () => {
    await product.stop()
    await server.stop()
    const starting = product.again()
    await new Promise((resolve) => setTimeout(resolve, 3_000))
    server = await startPostgres({ dir, log: pino({ level: 'silent' }) })
    product = await starting
    assert.equal((await product.aws().describeClusters({})).Clusters?.length, 1)
  })
})
