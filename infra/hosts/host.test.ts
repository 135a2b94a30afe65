/** The host agent with real HSM processes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { pino } from 'pino'
import { newClusterId, newHsmId } from '../../provider-schema/ids.ts'
import { verifyAudit } from '../../audit-log/verify.ts'
import { HSM_FILES } from '../../provider-schema/hsm-directory.ts'
import type { HsmToRun } from '../../workers/jobs/ports.ts'
import { untilTrue } from '../../test/support/product.ts'
import { deliverAudit } from '../audit/deliver.ts'
import { hsmPort } from '../management.ts'
import { issueControl } from '../pki/control.ts'
import { loadDeviceIssuer } from '../pki/device.ts'
import { openFleet, type Fleet } from '../pki/fleet.ts'
import { isAlive } from '../processes/identity.ts'
import { addressBlock, addressPool } from './addresses.ts'
import { startHost, stopAll, type Host } from './host.ts'

/** What outlives a zeroisation: no secret is in it. */
const KEPT = ['hsm.json', 'hsm.log', 'audit', 'zeroised', 'refused', 'started.json']

let root: string
let fleet: Fleet
let dir: string
let host: Host
let lines: Record<string, unknown>[]
const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as never) })

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'host-'))
  fleet = await openFleet(join(root, 'fleet'))
})
after(() => rm(root, { recursive: true, force: true }))
beforeEach(async () => {
  lines = []
  dir = await mkdtemp(join(root, 'hsms-'))
  host = await start()
})
afterEach(() => host.stop({ leaveRunning: false }))

const start = async (beforeRemoval?: (directory: string) => Promise<void>) =>
  startHost({ dir, fleet, issuer: await loadDeviceIssuer(fleet), log, ...(beforeRemoval && { beforeRemoval }) })

async function someHsm(): Promise<HsmToRun> {
  const pool = addressPool(await addressBlock(join(dir, 'addresses.json')))
  const { listenIp, eniIp } = await pool.choose(new Set((await host.list()).map(({ address }) => address)), undefined)
  return { id: newHsmId(), hsmType: 'hsm2m.medium', listenIp, eniIp }
}

/** An HSM that runs and is certified. */
async function running(): Promise<{ hsm: HsmToRun; pid: number }> {
  const hsm = await someHsm()
  await host.ensureRunning(hsm)
  await host.certify(hsm)
  return { hsm, pid: await pidOf(hsm) }
}

async function pidOf({ id }: HsmToRun): Promise<number> {
  const pid = (await host.list()).find(({ hsmId }) => hsmId === id)?.pid
  assert.ok(pid !== undefined, 'the HSM runs')
  return pid
}

async function phaseOf(hsm: HsmToRun): Promise<string> {
  const connection = await hsmPort(await issueControl(fleet, 'test'), fleet).connect(hsm)
  try {
    return (await connection.call('health', {})).phase
  } finally {
    await connection.close()
  }
}

const there = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

test('starts an HSM, has it certified, and both may be asked for again', async () => {
  const hsm = await someHsm()
  await host.ensureRunning(hsm)
  const certificates = await host.certify(hsm)
  const pid = await pidOf(hsm)
  await host.ensureRunning(hsm)
  assert.deepEqual(await host.certify(hsm), certificates)
  assert.equal(await pidOf(hsm), pid)
  assert.equal(await phaseOf(hsm), 'blank')
  for (const pem of [certificates.awsHardwareCertificate, certificates.manufacturerHardwareCertificate]) {
    assert.match(pem, /^-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n$/)
  }
})

test('a killed HSM is started again by itself, on its address and with its certificate', async () => {
  const { hsm, pid } = await running()
  const certificates = await host.certify(hsm)
  process.kill(pid, 'SIGKILL')
  await untilTrue(async () => ![undefined, pid].includes((await host.list())[0]?.pid), {
    seconds: 20,
    what: () => 'no new process',
  })
  assert.equal(await phaseOf(hsm), 'blank')
  assert.deepEqual(await host.certify(hsm), certificates)
})

test('HSMs outlive a host that leaves them, and the next one adopts them', async () => {
  const { hsm, pid } = await running()
  await host.stop({ leaveRunning: true })
  assert.ok(await isAlive(pid))
  host = await start()
  assert.equal(await pidOf(hsm), pid)
  assert.equal(await phaseOf(hsm), 'blank')
  assert.equal(lines.filter(({ msg }) => msg === 'started an HSM process').length, 1)
})

test('an HSM whose file about its process is gone tells of itself again, and is adopted', async () => {
  const { hsm, pid } = await running()
  await host.stop({ leaveRunning: true })
  await rm(join(dir, hsm.id, HSM_FILES.running))
  host = await start()
  const pids = async () => (await host.list()).map((each) => each.pid)
  await untilTrue(async () => (await pids()).includes(pid), { seconds: 30, what: () => JSON.stringify(lines) })
  assert.equal(await phaseOf(hsm), 'blank')
})

test('a host that stops for good ends its HSMs; the next one has them again', async () => {
  const { hsm, pid } = await running()
  await host.stop({ leaveRunning: false })
  assert.equal(await isAlive(pid), false)
  host = await start()
  await host.certify(hsm)
  assert.notEqual(await pidOf(hsm), pid)
})

test('an HSM that only starts is ended as well, by a host that stops and by whoever ends what a host left', async () => {
  const { hsm } = await running()
  await host.stop({ leaveRunning: false })
  const started = () => lines.filter(({ msg }) => msg === 'started an HSM process').map(({ pid }) => Number(pid))
  host = await start()
  await host.stop({ leaveRunning: false })
  host = await start()
  await host.stop({ leaveRunning: true })
  // Killed, and started again: there is one that starts, and one that finds it.
  host = await start()
  await host.stop({ leaveRunning: true })
  assert.ok((await stopAll(dir)) > 0)
  assert.ok(started().length >= 3)
  await untilTrue(async () => !(await Promise.all(started().map(isAlive))).includes(true), {
    seconds: 10,
    what: () => JSON.stringify(lines),
  })
  host = await start()
  await host.certify(hsm)
})

test('an HSM that cannot start is tried again after growing pauses, and says why until what is wrong is mended', async () => {
  const { hsm, pid } = await running()
  const file = join(dir, hsm.id, 'seal.key')
  const good = await readFile(file)
  await writeFile(file, good.subarray(0, 16))
  process.kill(pid, 'SIGKILL')
  const ends = () => lines.filter(({ msg }) => msg === 'an HSM process ended; it is started again')
  await untilTrue(() => Promise.resolve(ends().length >= 3), { seconds: 30, what: () => JSON.stringify(lines) })
  assert.match(String(ends()[2]?.['lastWords']), /seal\.key has 16 bytes instead of 32/)
  const why = 'The HSM cannot start: seal.key has 16 bytes instead of 32: restore it from a copy; its log says more.'
  assert.deepEqual(await host.condition(hsm.id), { kind: 'lost', why })
  await writeFile(file, good)
  await host.certify(hsm)
  assert.equal(await phaseOf(hsm), 'blank')
  assert.deepEqual(await host.condition(hsm.id), { kind: 'running' })
})

test('a zeroisation that a kill cut short anywhere is ended by the host that starts next', async () => {
  const { hsm } = await running()
  await host.stop({ leaveRunning: false })
  // Killed right after its first write.
  await writeFile(join(dir, hsm.id, 'seal.key'), 'zeroised'.repeat(4))
  host = await start()
  await untilTrue(async () => (await host.condition(hsm.id)).kind === 'zeroised', {
    seconds: 30,
    what: () => JSON.stringify(lines),
  })
  const left = async () => (await readdir(join(dir, hsm.id))).filter((name) => !KEPT.includes(name))
  await untilTrue(async () => (await left()).length === 0, { seconds: 30, what: () => 'something is left' })

  // Killed where only the mark told: the process is not needed for the rest.
  const marked = (await running()).hsm
  await host.stop({ leaveRunning: false })
  await rename(join(dir, marked.id, 'seal.key'), join(dir, marked.id, 'zeroised'))
  host = await start()
  assert.deepEqual(await host.condition(marked.id), {
    kind: 'zeroised',
    why: 'The tamper response of the HSM has destroyed its keys.',
  })
  const remains = (await readdir(join(dir, marked.id))).filter((name) => !KEPT.includes(name))
  assert.deepEqual(remains, [])
  assert.equal((await readFile(join(dir, marked.id, 'zeroised'))).length, 0)
})

test('remove ends the process and takes its directory away; twice is once', async () => {
  const { hsm, pid } = await running()
  await host.remove(hsm.id)
  await host.remove(hsm.id)
  assert.equal(await isAlive(pid), false)
  assert.equal(await there(join(dir, hsm.id)), false)
  assert.deepEqual(await host.list(), [])
})

test('a removal that was cut off is brought to its end by the next start', async () => {
  const { hsm, pid } = await running()
  await host.stop({ leaveRunning: true })
  await writeFile(join(dir, hsm.id, 'removed'), '')
  host = await start()
  assert.equal(await isAlive(pid), false)
  assert.equal(await there(join(dir, hsm.id)), false)
})

test('an HSM that is being removed is not started again', async () => {
  const hsm = await someHsm()
  await mkdir(join(dir, hsm.id))
  await writeFile(join(dir, hsm.id, 'removed'), '')
  await assert.rejects(host.ensureRunning(hsm), { message: `${hsm.id} is being removed` })
})

test('a process that has got the id of a dead HSM is neither taken for it nor ended', async () => {
  const { hsm, pid } = await running()
  await host.stop({ leaveRunning: false })
  const stranger = spawn('sleep', ['600'])
  await once(stranger, 'spawn')
  try {
    const written = JSON.stringify({ pid: stranger.pid, startedAt: new Date().toISOString(), version: '0' })
    await writeFile(join(dir, hsm.id, HSM_FILES.running), written)
    host = await start()
    await host.certify(hsm)
    assert.notEqual(await pidOf(hsm), stranger.pid)
    assert.notEqual(await pidOf(hsm), pid)
    await host.remove(hsm.id)
    assert.equal(stranger.exitCode ?? stranger.signalCode, null, 'it still runs')
  } finally {
    stranger.kill('SIGKILL')
  }
})

test('who answers with the certificate of another HSM is not talked to', async () => {
  const [{ hsm }, other] = [await running(), await running()]
  await assert.rejects(phaseOf({ ...hsm, listenIp: other.hsm.listenIp }), (error: Error) => {
    assert.match(`${error.message} ${String(error.cause)}`, new RegExp(`who answers is not ${hsm.id}`))
    return true
  })
  assert.equal(await phaseOf(hsm), 'blank')
})

test('the audit log of an HSM that was zeroised is delivered to its last line before its directory goes', async () => {
  await host.stop({ leaveRunning: true })
  const logs = join(root, 'logs')
  host = await start((directory) => deliverAudit(directory, logs))
  const { hsm } = await running()
  const port = hsmPort(await issueControl(fleet, 'test'), fleet)
  const connection = await port.connect(hsm)
  const clusterId = newClusterId()
  const members = [{ hsmId: hsm.id, address: hsm.listenIp, eniIp: hsm.eniIp }]
  const membership = port.signMembership({ clusterId, epoch: 1, members })
  await connection.call('found', { clusterId, mode: 'FIPS', hsmType: hsm.hsmType, membership })
  await connection.call('zeroise', {})
  await connection.close()
  await host.remove(hsm.id)
  assert.equal(await there(join(dir, hsm.id)), false)
  const path = join(logs, 'aws', 'cloudhsm', clusterId, hsm.id, '000001.jsonl')
  const { findings, events } = verifyAudit([{ name: path, text: await readFile(path, 'utf8') }], { root: fleet.root })
  assert.deepEqual(findings, [])
  assert.equal(events, 5)
})

test('says of an HSM that it runs, that its keys are destroyed, that its store is damaged, that its directory is gone', async () => {
  const [tampered, damaged] = [await running(), await running()]
  const kindOf = async ({ hsm }: { hsm: HsmToRun }) => (await host.condition(hsm.id)).kind
  assert.equal(await kindOf(tampered), 'running')
  const connection = await hsmPort(await issueControl(fleet, 'test'), fleet).connect(tampered.hsm)
  await connection.call('zeroise', {})
  await connection.close()
  assert.equal(await kindOf(tampered), 'zeroised')
  await truncate(join(dir, damaged.hsm.id, 'store', 'data.mdb'), 100)
  process.kill(damaged.pid, 'SIGKILL')
  await untilTrue(async () => (await kindOf(damaged)) === 'lost', { seconds: 60, what: () => JSON.stringify(lines) })
  assert.equal((await host.condition(newHsmId())).kind, 'lost')

  await host.setAside(damaged.hsm.id)
  await host.setAside(damaged.hsm.id)
  assert.ok(await there(join(dir, `aside-${damaged.hsm.id}`, 'seal.key')))
  assert.equal(await there(join(dir, damaged.hsm.id)), false)

  // A process without keys is of no use: it is not started again, by this host or the next.
  await host.stop({ leaveRunning: true })
  host = await start()
  await untilTrue(async () => !(await isAlive(tampered.pid)), { seconds: 20, what: () => 'it still runs' })
  const starts = lines.filter(({ msg, hsmId }) => msg === 'started an HSM process' && hsmId === tampered.hsm.id)
  assert.equal(starts.length, 1)
})
