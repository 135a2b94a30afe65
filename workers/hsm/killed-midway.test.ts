/**
 * Real HSM processes that are killed within each step of their life, from founding to zeroising, at moments that a seed
 * chooses: the step is wholly done, or undone and can be done again.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { auditFilesIn } from '../../audit-log/files.ts'
import { verifyAudit } from '../../audit-log/verify.ts'
import { AUDIT_DIRECTORY, auditFileName } from '../../provider-schema/audit-file.ts'
import { chanceOf } from '../../test/support/chance.ts'
import { isSound } from './backup/read-backup.ts'
import { SPOOLS } from './backup/spool.ts'
import { ConnectionLost, HsmError } from './protocol/errors.ts'
import type { HsmPhase } from './protocol/management-operations.ts'
import { customerCa, fleetPki } from './testing/pki.ts'
import { managing, startHsmProcess, type HsmProcess } from './testing/process.ts'

const SEED = Number(process.env['STRONGROOM_KILL_SEED'] ?? 20_261_125)
const ROUNDS = Number(process.env['STRONGROOM_KILL_ROUNDS'] ?? 2)
const PASSWORD = 'password-1'
const KEYS = 300
const CLUSTER = 'cluster-testtesttes'
const BACKUP = 'backup-aaaaaaaaaaa'
/** What outlives a zeroisation. */
const KEPT = ['audit', 'fleet', 'hsm.json', 'refused', 'zeroised']

const pki = fleetPki()
const customer = customerCa()
const chance = chanceOf(SEED)
let first: HsmProcess
let second: HsmProcess

before(async () => ([first, second] = await Promise.all([startHsmProcess({ pki }), startHsmProcess({ pki })])))
after(() => Promise.all([first, second].map((hsm) => hsm.dispose())))

/** What came of work within which a process was killed: undefined when it was not acknowledged. */
async function killedWithin<Result>(
  hsm: HsmProcess,
  longestMs: number,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  const acknowledged = work().catch((error: unknown) => {
    const isOfTheKill = error instanceof ConnectionLost || (error instanceof HsmError && error.code === 'Busy')
    assert.ok(isOfTheKill, String(error))
    return undefined
  })
  await sleep(chance() * longestMs)
  await hsm.stop('SIGKILL')
  return acknowledged
}

const phaseOf = async (hsm: HsmProcess) =>
  managing(hsm, async (management) => (await management.call('health', {})).phase)

async function assertPhase(
  hsm: HsmProcess,
  wasAcknowledged: boolean,
  before_: HsmPhase,
  after_: HsmPhase,
): Promise<void> {
  const phase = await phaseOf(hsm)
  const may = wasAcknowledged ? [after_] : [before_, after_]
  assert.ok(may.includes(phase), `STRONGROOM_KILL_SEED=${SEED}: ${phase}`)
}

/** Kills within the work again and again, then lets it end. Gives all that was acknowledged, the end last. */
async function inRounds<Result>(
  hsm: HsmProcess,
  longestMs: number,
  work: () => Promise<Result>,
  check: (wasAcknowledged: boolean) => Promise<void>,
): Promise<Result[]> {
  const acknowledged: Result[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const result = await killedWithin(hsm, longestMs, work)
    if (result !== undefined) acknowledged.push(result)
    await hsm.start()
    await check(acknowledged.length > 0)
  }
  return [...acknowledged, await work()]
}

function found() {
  const membership = pki.signMembership({ clusterId: CLUSTER, epoch: 1, members: [first.member] })
  const about = { clusterId: CLUSTER, mode: 'FIPS', hsmType: 'hsm2m.medium', membership } as const
  return managing(first, (management) => management.call('found', about))
}

test('founding', async () => {
  const made = await inRounds(first, 150, found, (was) => assertPhase(first, was, 'blank', 'founded'))
  assert.equal(new Set(made.map(({ csr }) => csr)).size, 1, 'what was acknowledged stays')
})

test('installing the certificate', async () => {
  const { csr } = await found()
  const about = { clusterCertificate: customer.signRequest(csr), trustAnchor: customer.certificate }
  const install = () => managing(first, (management) => management.call('install-certificate', about))
  await inRounds(first, 30, install, (was) => assertPhase(first, was, 'founded', 'initialized'))
  assert.equal(await phaseOf(first), 'initialized')
})

test('activating: the first password', async () => {
  const activate = async () => {
    const client = await first.client(customer.certificate)
    try {
      return await client.call('activate', { password: PASSWORD })
    } catch (error) {
      // A kill before the answer, and it was done.
      if (error instanceof HsmError && error.code === 'AlreadyActivated') return {}
      throw error
    } finally {
      await client.close()
    }
  }
  await inRounds(first, 250, activate, (was) => assertPhase(first, was, 'initialized', 'active'))
  const admin = await first.client(customer.certificate)
  await admin.call('login', { username: 'admin', role: 'admin', password: PASSWORD })
  await admin.call('user-create', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  await admin.close()
  const alice = await first.client(customer.certificate)
  await alice.call('login', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  const make = (i: number) =>
    alice.call('key-generate-aes', { lengthBytes: 32, attributes: { label: `${i}` }, requireTwoCopies: false })
  await Promise.all(Array.from({ length: KEYS }, (_, i) => make(i)))
  await alice.close()
})

test('a backup that is being written', async () => {
  const begin = () => managing(first, (management) => management.call('backup-begin', { backupId: BACKUP }))
  const made = await inRounds(first, 60, begin, async () => {
    for (const name of await readdir(join(first.directory, SPOOLS.out))) {
      assert.equal(name, `${BACKUP}.sealed`, 'nothing half written is left')
      assert.ok(await isSound(join(first.directory, SPOOLS.out, name), first.config.fleetBackupKeyFile))
    }
  })
  assert.equal(new Set(made.map(({ digest }) => digest)).size, 1, 'what was acknowledged stays')
})

test('joining, of which the newcomer is killed, and the member', async () => {
  const members = [first.member, second.member]
  const membership = pki.signMembership({ clusterId: CLUSTER, epoch: 2, members })
  await managing(first, (management) => management.call('membership', membership))
  const join_ = () => managing(second, (management) => management.call('join', { clusterId: CLUSTER, membership }))
  await killedWithin(first, 60, join_)
  await first.start()
  await assertPhase(second, false, 'blank', 'active')
  await inRounds(second, 150, join_, async (was) => {
    await assertPhase(second, was, 'blank', 'active')
    if ((await phaseOf(second)) === 'blank')
      await assert.rejects(second.client(customer.certificate), 'it serves nobody')
  })
  const client = await second.client(customer.certificate)
  await client.call('login', { username: 'alice', role: 'crypto-user', password: PASSWORD })
  assert.equal((await client.call('key-find', { filter: {}, limit: 1 })).total, KEYS)
  await client.close()
})

test('zeroising', async () => {
  const zeroise = () => managing(second, (management) => management.call('zeroise', {}))
  let isOver = false
  for (let round = 0; !isOver; round++) {
    // The last time it may take as long as it likes.
    const wasAcknowledged = (await killedWithin(second, round < ROUNDS ? 12 : 5_000, zeroise)) !== undefined
    isOver = await second.start().then(
      () => false,
      (error: unknown) => {
        assert.match(String(error), /was zeroised: its keys are destroyed, and it never starts again/)
        return true
      },
    )
    if (isOver) {
      const left = (await readdir(second.directory)).filter((name) => !KEPT.includes(name))
      assert.deepEqual(left, [], `STRONGROOM_KILL_SEED=${SEED}`)
    } else {
      assert.ok(!wasAcknowledged && round < ROUNDS, 'what was acknowledged is done')
      const { phase, keys } = await managing(second, (management) => management.call('health', {}))
      assert.deepEqual({ phase, keys }, { phase: 'active', keys: KEYS })
    }
  }
})

test('the audit log of an HSM that was killed so often has no gap', async () => {
  const directory = join(first.directory, AUDIT_DIRECTORY)
  const files = (await auditFilesIn(directory)).map(async (file) => {
    const name = auditFileName(file)
    return { name, text: await readFile(join(directory, name), 'utf8') }
  })
  assert.deepEqual(verifyAudit(await Promise.all(files), { root: pki.trust.root }).findings, [])
})
