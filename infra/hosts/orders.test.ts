/** A host that finds its orders in the database, with real HSM processes, as a role of the database that sees no more. */
import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { sql } from 'drizzle-orm'
import { newHsmId } from '../../provider-schema/ids.ts'
import { openDatabase, type Database } from '../../state/database.ts'
import { findOrder, orderToGo, orderToRun } from '../../state/host-orders.ts'
import { freshDatabase, type FreshDatabase } from '../../test/support/database.ts'
import { untilTrue } from '../../test/support/product.ts'
import { HSM_FILES, hsmConfig } from '../../provider-schema/hsm-directory.ts'
import type { DeviceCertificates, HostPort, HsmToRun } from '../../workers/jobs/ports.ts'
import { hsmPort } from '../management.ts'
import { issueControl } from '../pki/control.ts'
import { loadDeviceIssuer } from '../pki/device.ts'
import { openFleet, type Fleet } from '../pki/fleet.ts'
import { isAlive } from '../processes/identity.ts'
import { regionPlaces } from '../region/places.ts'
import { Trouble } from '../trouble.ts'
import { stopAll } from './host.ts'
import { findProcess } from './hsm-process.ts'
import { orderedHost } from './ordered-host.ts'
import { runHost, type HostSettings, type RunningHost } from './run-host.ts'

const REGION = 'us-east-1'
/** A role belongs to the whole server: its name must not meet that of another run. */
const NAME = `host-${newHsmId().slice(4)}`
const log = pino({ level: 'silent' })

describe('a host that finds its orders in the database', { timeout: 120_000 }, () => {
  let root: string
  let data: string
  let fresh: FreshDatabase
  let database: Database
  let fleet: Fleet
  let settings: HostSettings
  let host: RunningHost
  let port: HostPort

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'orders-'))
    fleet = await openFleet(join(root, 'region', 'fleet'))
    data = join(root, 'host')
    await mkdir(join(data, 'fleet'), { recursive: true })
    for (const name of (await readdir(fleet.dir)).filter((each) => each.endsWith('.pem') || each === 'backup.key')) {
      await cp(join(fleet.dir, name), join(data, 'fleet', name))
    }
    fresh = await freshDatabase()
    database = openDatabase({ url: fresh.url })
    for (const statement of [
      `create role "${NAME}" login password 'only-its-own'`,
      `grant usage on schema public to "${NAME}"`,
      `grant select, insert, update on hosts to "${NAME}"`,
      `grant select on host_orders to "${NAME}"`,
      `grant update (device_request, listens, condition, why, trouble, done) on host_orders to "${NAME}"`,
    ]) {
      await database.sql.execute(sql.raw(statement))
    }
    const url = new URL(fresh.url)
    Object.assign(url, { username: NAME, password: 'only-its-own' })
    settings = {
      region: REGION,
      zones: ['us-east-1a'],
      name: NAME,
      capacity: 4,
      addresses: undefined,
      data,
      databaseUrl: url.href,
      auditRetentionDays: undefined,
    }
    host = await runHost(settings, log)
    port = orderedHost(NAME, { database, issuer: await loadDeviceIssuer(fleet), keySeparation: 'strict' })
    await untilLive()
  })
  after(async () => {
    await host.stop()
    await stopAll(regionPlaces(data, REGION).hsms)
    await database.sql.execute(sql.raw(`drop owned by "${NAME}"`))
    await database.close()
    await fresh.drop()
    await rm(root, { recursive: true, force: true })
  })

  const directoryOf = (id: string) => join(regionPlaces(data, REGION).hsms, id)
  const pidOf = (id: string) => findProcess(directoryOf(id))

  const untilLive = () =>
    untilTrue(async () => (await database.read.hosts.find(NAME))?.live === true, {
      seconds: 30,
      what: () => 'the host does not say that it lives',
    })

  /** As a step of a job does: again, when a machine that is busy took its time. */
  async function certified(hsm: HsmToRun): Promise<DeviceCertificates> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await port.ensureRunning(hsm)
        return await port.certify(hsm)
      } catch (error) {
        if (attempt === 4) throw error
      }
    }
  }

  async function someHsm(): Promise<HsmToRun> {
    const asked = { eniIp: '10.9.9.9', listenIp: '10.9.9.9' }
    return { id: newHsmId(), hsmType: 'hsm2m.medium', ...(await port.addressFor(asked, new Set())) }
  }

  async function phaseOf(hsm: HsmToRun): Promise<string> {
    const connection = await hsmPort(await issueControl(fleet, 'test'), fleet).connect(hsm)
    try {
      return (await connection.call('health', {})).phase
    } finally {
      await connection.close()
    }
  }

  test('runs an HSM that the region certifies, keeps it through its own restart, and removes it', async () => {
    const hsm = await someHsm()
    assert.match(hsm.listenIp, /^127\./, 'one of its own addresses')
    const certificates = await certified(hsm)
    await port.ensureRunning(hsm)
    assert.deepEqual(await port.certify(hsm), certificates)
    assert.match(
      certificates.manufacturerHardwareCertificate,
      /^-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n$/,
    )
    assert.equal(await phaseOf(hsm), 'blank')
    assert.deepEqual(await port.condition(hsm.id), { kind: 'running' })
    const { keySeparation } = hsmConfig.parse(
      JSON.parse(await readFile(join(directoryOf(hsm.id), HSM_FILES.config), 'utf8')),
    )
    assert.equal(keySeparation, 'strict', 'the region says how keys are separated')

    const pid = await pidOf(hsm.id)
    assert.ok(pid !== undefined)
    await host.stop()
    assert.ok(await isAlive(pid), 'the HSM does not need its host')
    host = await runHost(settings, log)
    assert.equal(await pidOf(hsm.id), pid)

    for (let twice = 0; twice < 2; twice += 1) await port.remove(hsm.id)
    assert.equal(await isAlive(pid), false)
    assert.deepEqual(await readdir(regionPlaces(data, REGION).hsms), [])
    assert.equal(await findOrder(database.sql, { hostId: NAME, hsmId: hsm.id }), undefined)
  })

  test('while it is silent nobody waits for it, and what was replaced does not start again with it', async () => {
    const hsm = await someHsm()
    await certified(hsm)
    await host.stop()
    await stopAll(regionPlaces(data, REGION).hsms)
    await database.sql.execute(sql`update hosts set heartbeat_at = now() - interval '1 minute'`)
    assert.equal((await port.condition(hsm.id)).kind, 'cut-off')
    await assert.rejects(port.ensureRunning({ ...hsm, id: newHsmId() }), /was last heard of at/)
    await port.remove(hsm.id)
    const started: string[] = []
    const watching = pino({ level: 'info' }, { write: (line: string) => void started.push(line) })
    host = await runHost(settings, watching)
    await untilTrue(async () => (await findOrder(database.sql, { hostId: NAME, hsmId: hsm.id }))?.done === true, {
      seconds: 30,
      what: () => 'the host has not said that it is gone',
    })
    assert.deepEqual(await readdir(regionPlaces(data, REGION).hsms), [])
    assert.equal(
      started.some((line) => line.includes('started an HSM process') && line.includes(hsm.id)),
      false,
    )
    await untilLive()
    await assert.rejects(port.ensureRunning(hsm), /is being removed/)
  })

  test('says what keeps it from doing what it is asked for, and takes no id for a directory that is none', async () => {
    const stranger = openDatabase({ url: fresh.url })
    try {
      const [unbindable, evil] = [newHsmId(), '../../../etc' as ReturnType<typeof newHsmId>]
      const config = { hsmType: 'hsm2m.medium', listenIp: '192.0.2.1', eniIp: '192.0.2.1' }
      await orderToRun(stranger.sql, { hostId: NAME, hsmId: unbindable }, config)
      await orderToGo(stranger.sql, { hostId: NAME, hsmId: evil }, 'gone')
      const troubleOf = async (hsmId: typeof evil) => (await findOrder(database.sql, { hostId: NAME, hsmId }))?.trouble
      await untilTrue(async () => Boolean((await troubleOf(unbindable)) && (await troubleOf(evil))), {
        seconds: 30,
        what: () => 'it says nothing',
      })
      assert.equal(await troubleOf(unbindable), '192.0.2.1 cannot be bound')
      assert.equal(await troubleOf(evil), 'this is not the id of an HSM')
      await port.remove(unbindable)
    } finally {
      await stranger.close()
    }
  })

  test('sees and changes in the database nothing but its own rows', async () => {
    const own = openDatabase({ url: settings.databaseUrl })
    try {
      const where = { hostId: 'another-host', hsmId: newHsmId() }
      await orderToRun(database.sql, where, { hsmType: 'hsm2m.medium', listenIp: '127.0.0.9', eniIp: '127.0.0.9' })
      const ask = async (text: string) => (await own.sql.execute(sql.raw(text))).rowCount
      const denied = (text: string) =>
        assert.rejects(own.pool.query(text), (error: unknown) =>
          /permission denied|row-level security/.test(String(error)),
        )
      assert.equal(await findOrder(own.sql, where), undefined)
      assert.equal(await ask(`update host_orders set done = true where host_id = 'another-host'`), 0)
      assert.equal(await ask(`update hosts set capacity = 0 where id <> '${NAME}'`), 0)
      for (const table of ['clusters', 'hsms', 'backups', 'identity', 'audit']) await denied(`select * from ${table}`)
      await denied(`select * from graphile_worker.jobs`)
      await denied(`update host_orders set wanted = 'gone'`)
      await denied(`update host_orders set device_chain = 'x'`)
      await denied(`insert into hosts (id, zones, capacity, heartbeat_at) values ('x', '[]', 1, now())`)
      assert.equal((await findOrder(database.sql, where))?.done, false)
    } finally {
      await own.close()
    }
  })

  test('is refused where it cannot do its work, and told how to mend it', async () => {
    const refusal = async (set: Partial<HostSettings>) => {
      const error: unknown = await runHost({ ...settings, ...set }, log).then(
        (unexpected) => unexpected.stop(),
        (e: unknown) => e,
      )
      assert.ok(error instanceof Trouble)
      return `${error.message} ${error.mend ?? ''}`
    }
    assert.match(await refusal({}), /runs the HSMs of us-east-1 .* already/)
    assert.match(await refusal({ data: join(root, 'nothing') }), /certificates of the fleet are not in .*backup\.key/)
    const other = join(root, 'other')
    await cp(join(data, 'fleet'), join(other, 'fleet'), { recursive: true })
    await (await runHost({ ...settings, data: other, name: 'other' }, log)).stop()
    assert.match(await refusal({ data: other, name: 'another' }), /is called other/)
  })
})
