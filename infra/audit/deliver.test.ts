/** Delivery into files, and `strongroom audit` over them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { auditedHsm, CLUSTER, loginOf } from '../../workers/hsm/audit/testing/audited-hsm.ts'
import { PLACES } from '../places.ts'
import { regionPlaces } from '../region/places.ts'
import { deliverAudit, deliverAudits } from './deliver.ts'

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url))

/** A data directory whose only HSM wrote some events, all delivered. */
async function delivered(t: TestContext, events = 3) {
  const hsm = await auditedHsm(t)
  const data = await mkdtemp(join(tmpdir(), 'audit-data-'))
  t.after(() => rm(data, { recursive: true, force: true }))
  const places = regionPlaces(data, 'us-east-1')
  await mkdir(join(data, PLACES.fleet), { recursive: true })
  await writeFile(join(data, PLACES.fleet, 'root.pem'), hsm.pki.trust.root)
  const log = await hsm.open()
  for (let i = 0; i < events; i++) await log.note(CLUSTER, loginOf(`user_${i}`))
  await deliverAudit(hsm.directory, places.logs)
  const stream = join(places.logs, 'aws', 'cloudhsm', CLUSTER, 'hsm-aaaaaaaaaaa')
  return { hsm, log, data, places, stream, file: join(stream, '000001.jsonl') }
}

interface Answer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

const strongroom = (...args: string[]): Promise<Answer> =>
  new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr })
    })
  })

test('the delivered stream is the own file of the HSM, byte for byte, under the names of CloudWatch', async (t) => {
  const { hsm, log, places, file } = await delivered(t)
  const own = join(hsm.auditDirectory, '000001.jsonl')
  assert.equal(await readFile(file, 'utf8'), await readFile(own, 'utf8'))
  await log.note(CLUSTER, loginOf('later'))
  await deliverAudit(hsm.directory, places.logs)
  assert.equal(await readFile(file, 'utf8'), await readFile(own, 'utf8'))
  assert.equal((await stat(file)).mode & 0o777, 0o600)
})

test('what is delivered twice at the same time, as the end of a log may be, is there once', async (t) => {
  const { hsm, log, places, file } = await delivered(t)
  for (let i = 0; i < 20; i++) {
    await log.note(CLUSTER, loginOf(`later_${i}`))
    await Promise.all(Array.from({ length: 4 }, () => deliverAudit(hsm.directory, places.logs)))
  }
  assert.equal(await readFile(file, 'utf8'), await readFile(join(hsm.auditDirectory, '000001.jsonl'), 'utf8'))
})

test('what nobody signed for yet waits', async (t) => {
  const { hsm, places, file } = await delivered(t)
  const before = await readFile(file, 'utf8')
  await appendFile(join(hsm.auditDirectory, '000001.jsonl'), '{"kind":"event","half')
  await deliverAudit(hsm.directory, places.logs)
  assert.equal(await readFile(file, 'utf8'), before)
})

test('a file of the HSM that became shorter is told, and what was delivered is kept', async (t) => {
  const { hsm, places, file } = await delivered(t)
  const before = await readFile(file, 'utf8')
  await writeFile(join(hsm.auditDirectory, '000001.jsonl'), before.split('\n').slice(0, 2).join('\n') + '\n')
  await assert.rejects(deliverAudit(hsm.directory, places.logs), /shorter than what was delivered of it/)
  assert.equal(await readFile(file, 'utf8'), before)
})

test('delivery goes on by itself until it is stopped, and old files go after their time', async (t) => {
  const { hsm, data, places, stream } = await delivered(t)
  const hsms = join(data, 'some-hsms')
  await mkdir(hsms)
  await cp(hsm.directory, join(hsms, 'hsm-aaaaaaaaaaa'), { recursive: true })
  await rm(stream, { recursive: true })
  const old = join(stream, '000001.jsonl')
  const stop = new AbortController()
  const log = pino({ level: 'silent' })
  const run = deliverAudits({ hsms, logs: places.logs, retentionDays: 1, log, signal: stop.signal, everyMs: 10 })
  while (!(await stat(old).catch(() => undefined))) await sleep(10)
  stop.abort()
  await run
  // The newest file stays whatever its age; one before it goes.
  await utimes(old, 1000, 1000)
  await deliverOnce()
  assert.ok(await stat(old))
  await writeFile(join(stream, '000002.jsonl'), '')
  await deliverOnce()
  await assert.rejects(stat(old))
  await deliverOnce()
  await assert.rejects(stat(old), 'it does not come back from the HSM')

  async function deliverOnce() {
    await deliverAudits({ hsms, logs: places.logs, retentionDays: 1, log, signal: AbortSignal.abort() })
  }
})

test('strongroom audit lists the logs, shows the events, and verifies them', async (t) => {
  const { data, stream } = await delivered(t)
  const list = await strongroom('audit', 'list', '--data', data)
  assert.match(list.stdout, /\/aws\/cloudhsm\/cluster-testtesttes +hsm-aaaaaaaaaaa +us-east-1 +3 /)
  const show = await strongroom('audit', 'show', '--data', data, '--cluster', CLUSTER, '-n', '1')
  assert.match(show.stdout, /^Time: .*\nSequence No : 0x2\n[^]*User Name : user_2\n/)
  const all = await strongroom('audit', 'verify', '--data', data)
  assert.equal(all.code, 0)
  assert.match(all.stdout, /^ok {4}cluster-testtesttes hsm-aaaaaaaaaaa: 3 events, 3 signed for at /)
  const byFile = await strongroom('audit', 'verify', stream, '--root', join(data, PLACES.fleet, 'root.pem'))
  assert.equal(byFile.code, 0)
})

test('strongroom audit verify names the line that was tampered with, and fails', async (t) => {
  const { data, file } = await delivered(t)
  await writeFile(file, (await readFile(file, 'utf8')).replace('User Name : user_1', 'User Name : user_7'))
  const { code, stdout } = await strongroom('audit', 'verify', '--data', data, '--cluster', CLUSTER)
  assert.equal(code, 1)
  assert.match(stdout, /^FAIL .*hsm-aaaaaaaaaaa\/000001\.jsonl:5: the line was altered/)
})

test('strongroom audit verify compares with what the HSM has, as long as it is there', async (t) => {
  const { hsm, data, places, file } = await delivered(t)
  await cp(hsm.directory, join(places.hsms, 'hsm-aaaaaaaaaaa'), { recursive: true })
  assert.equal((await strongroom('audit', 'verify', '--data', data)).code, 0)
  const own = join(places.hsms, 'hsm-aaaaaaaaaaa', 'audit', '000001.jsonl')
  const text = await readFile(file, 'utf8')
  await writeFile(own, `${text.split('\n').slice(0, 4).join('\n')}\n`)
  const { code, stdout } = await strongroom('audit', 'verify', '--data', data)
  assert.equal(code, 1)
  assert.match(stdout, /differs from what the HSM has/)
})

/** With the log of another HSM, which saw all of the first one's. */
async function deliveredAndSeen(t: TestContext) {
  const { hsm, log, data, places, stream, file } = await delivered(t)
  const other = await auditedHsm(t, { pki: hsm.pki, hsmId: 'hsm-bbbbbbbbbbb' })
  assert.ok(log.head)
  const details = { kind: 'peer-head', hsmId: 'hsm-aaaaaaaaaaa', ...log.head } as const
  await (await other.open()).note(CLUSTER, { opcode: 'SR_PEER_HEAD', operation: 'replication', session: 0, details })
  await deliverAudit(other.directory, places.logs)
  return { data, stream, file, other }
}

test("strongroom audit verify finds the end of a log that is missing with another HSM's log", async (t) => {
  const { data, stream, file, other } = await deliveredAndSeen(t)
  assert.equal((await strongroom('audit', 'verify', '--data', data)).code, 0)
  const text = await readFile(file, 'utf8')
  await writeFile(file, `${text.split('\n').slice(0, 4).join('\n')}\n`)
  for (const paths of [[], [stream, other.auditDirectory]]) {
    const { code, stdout } = await strongroom('audit', 'verify', ...paths, '--data', data)
    assert.equal(code, 1)
    assert.match(stdout, /^FAIL .*hsm-aaaaaaaaaaa\/000001\.jsonl: hsm-bbbbbbbbbbb saw 3 events of this log/)
    assert.match(stdout, /ok {4}cluster-testtesttes hsm-bbbbbbbbbbb/)
  }
})

test('strongroom audit verify finds the log of one HSM in the place of another, and notes a log that is gone', async (t) => {
  const { data, stream, file, other } = await deliveredAndSeen(t)
  const note =
    /^note {2}cluster-testtesttes hsm-aaaaaaaaaaa: hsm-bbbbbbbbbbb saw 3 events of its log, which is not here$/m
  assert.doesNotMatch((await strongroom('audit', 'verify', '--data', data)).stdout, /note/)
  await cp(join(other.auditDirectory, '000001.jsonl'), file)
  const swapped = await strongroom('audit', 'verify', '--data', data)
  assert.equal(swapped.code, 1)
  assert.match(
    swapped.stdout,
    /^FAIL .*hsm-aaaaaaaaaaa: this is the log of hsm-bbbbbbbbbbb .* in the place of hsm-a+'s$/m,
  )
  assert.match(swapped.stdout, note)
  await rm(stream, { recursive: true })
  const gone = await strongroom('audit', 'verify', '--data', data)
  assert.equal(gone.code, 0)
  assert.match(gone.stdout, note)
})

test('a cluster that there is no log of is told, with those that there are', async (t) => {
  const { data } = await delivered(t)
  const { code, stderr } = await strongroom('audit', 'verify', '--data', data, '--cluster', 'cluster-bbbbbbbbbbb')
  assert.equal(code, 1)
  assert.match(stderr, /no such audit log[^]*cluster-testtesttes/)
})
