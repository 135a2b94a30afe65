/**
 * Random sequences of all operations that change something, of kills of the job worker and of moves of the clock, held
 * against a small model of the state machines (control-plane reference §2). HSMs are simulated; API, database, jobs and
 * housekeeping are the product's. A failure prints seed and path: they repeat it.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { z } from 'zod'
import { testApi, type TestApi } from '../api/testing/api.ts'
import { SUBNETS } from '../api/testing/fixtures.ts'
import { workshop } from '../api/testing/openssl.ts'
import type { ClusterId } from '../provider-schema/ids.ts'
import { OPERATIONS } from '../provider-schema/operations.ts'
import { BACKUP_TRANSITIONS, type BackupState } from '../provider-schema/states.ts'
import { keepHouse } from '../workers/jobs/housekeeping.ts'
import { simulatedWorld, type SimulatedWorld } from '../workers/jobs/testing/simulated-world.ts'
import type { JobContext } from '../workers/jobs/transition.ts'
import { reconcile, TRANSITIONS } from '../workers/jobs/transitions.ts'
import { watch } from '../workers/jobs/watch.ts'

const HOUR = 3_600_000
const ZONE = 'us-east-1a'
let api: TestApi
let world: SimulatedWorld
let ctx: JobContext
let aheadMs = 0
let beating: NodeJS.Timeout
let certificates: { readonly csr: string; readonly SignedCert: string; readonly TrustAnchor: string }
const now = () => new Date(Date.now() + aheadMs)

before(async () => {
  const limits = { clustersPerAccount: 10_000, hsmsPerAccount: 10_000, hsmsPerCluster: 28 }
  api = await testApi({ limits, clock: now, offeredHsmTypes: ['hsm1.medium', 'hsm2m.medium'] })
  const { database } = api
  const beat = () => database.read.hosts.heartbeat({ id: 'host-1', zones: [ZONE, 'us-east-1b'], capacity: 10_000 })
  await beat()
  beating = setInterval(() => void beat().catch(() => undefined), 2_000)
  world = simulatedWorld()
  ctx = {
    database,
    ports: world.ports,
    log: pino({ level: 'silent' }),
    clock: now,
    pace: 0,
    signal: new AbortController().signal,
  }
  const shop = await workshop()
  try {
    const csr = await shop.request('hsm')
    const TrustAnchor = await shop.selfSigned('ca')
    certificates = { csr, TrustAnchor, SignedCert: await shop.issue('hsm', 'ca') }
  } finally {
    await shop.remove()
  }
})
after(async () => {
  clearInterval(beating)
  await api.close()
})

const counts = new Map<string, number>()
const count = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1)

/** Thrown at a step boundary in place of a kill. */
class Killed extends Error {}

const MEMBERS = { cluster: 'clusterId', hsm: 'hsmId', backup: 'backupId', copy: 'copyId' } as const

/** Performs all that is to be done; the worker is killed once, at that step boundary, and another takes over. */
async function settle(killAt: number | undefined): Promise<void> {
  let left = killAt
  const onStep = () => {
    if (left === undefined || left-- > 0) return
    left = undefined
    count('worker killed')
    throw new Killed()
  }
  for (let round = 0; ; round++) {
    await api.database.pool.query('delete from graphile_worker._private_jobs')
    const keys = await reconcile(ctx)
    if (keys.length === 0) return
    assert.ok(round < 300, `stuck: ${keys.join(', ')}`)
    await Promise.all(
      keys.map(async (key) => {
        const [name = '', id = ''] = key.split(':')
        const kind = z.enum(['cluster', 'hsm', 'backup', 'copy']).parse(id.split('-')[0])
        const transition = TRANSITIONS.find((each) => each.name === name)
        assert.ok(transition)
        // A transition may wait for a backup that begins meanwhile: it is interrupted, and comes again in the next round.
        const signal = AbortSignal.timeout(150)
        await transition.perform({ [MEMBERS[kind]]: id }, { ...ctx, onStep, signal }).catch((error: unknown) => {
          if (!(error instanceof Killed)) throw error
        })
      }),
    )
  }
}

interface ModelCluster {
  readonly id: ClusterId
  state: 'UNINITIALIZED' | 'INITIALIZED' | 'ACTIVE' | 'DELETED'
  hsms: number
  type: 'hsm1.medium' | 'hsm2m.medium'
  /** Until when its change of type can be taken back. */
  rollbackUntil?: number
  retention: number
  tags: number
}

const ACTIONS = [
  ...[
    'create',
    'restore-cluster',
    'restore-cluster',
    'add',
    'add',
    'add',
    'initialize',
    'initialize',
    'activate',
    'activate',
  ],
  ...['remove', 'delete', 'type', 'roll-back', 'retention', 'tag', 'untag', 'clock'],
  ...[
    'delete-backup',
    'delete-backup',
    'restore-backup',
    'restore-backup',
    'pin',
    'copy',
    'put-policy',
    'delete-policy',
  ],
] as const
interface Step {
  readonly action: string
  readonly pick: number
  readonly hours: number
  readonly killAt: number | undefined
}

const clusterShape = z.object({
  ClusterId: z.string(),
  State: z.string(),
  HsmType: z.string(),
  Hsms: z.array(z.object({ HsmId: z.string(), State: z.string(), HsmType: z.string() })),
  BackupRetentionPolicy: z.object({ Value: z.string() }),
  TagList: z.array(z.unknown()),
})
const backupShape = z.object({
  BackupId: z.string(),
  BackupArn: z.string(),
  ClusterId: z.string(),
  BackupState: z.string(),
})

class Run {
  readonly clusters: ModelCluster[] = []
  readonly backups = new Map<string, BackupState>()

  async shown() {
    const clusterIds = this.clusters.map(({ id }) => id)
    const { Clusters } = await api.ask('DescribeClusters', { Filters: { clusterIds } })
    const { Backups } = await api.ask('DescribeBackups', { Filters: { clusterIds } })
    return { clusters: z.array(clusterShape).parse(Clusters), backups: z.array(backupShape).parse(Backups) }
  }

  /** Asks for it; `allowed` says what the model expects. Gives the answer when it was done. */
  async ask(operation: string, input: object, allowed: boolean): Promise<Record<string, unknown> | undefined> {
    count(`${operation} ${allowed ? 'done' : 'refused'}`)
    if (allowed) return api.ask(operation, input)
    const { code } = await api.refusal(operation, input)
    assert.match(String(code), /^CloudHsm(InvalidRequest|ResourceNotFound)Exception$/)
    return undefined
  }

  async create(type: ModelCluster['type'], SourceBackupId?: string): Promise<void> {
    count('CreateCluster done')
    const input = { HsmType: type, SubnetIds: SUBNETS, ...(SourceBackupId && { SourceBackupId }) }
    const { Cluster } = await api.ask('CreateCluster', input)
    const id = z.object({ ClusterId: z.custom<ClusterId>() }).parse(Cluster).ClusterId
    const state = SourceBackupId ? 'ACTIVE' : 'UNINITIALIZED'
    this.clusters.push({ id, state, type, hsms: 0, retention: 90, tags: 0 })
  }

  async onCluster(action: string, c: ModelCluster): Promise<void> {
    const ClusterId = c.id
    const before = (await this.shown()).clusters.find((each) => each.ClusterId === c.id)
    switch (action) {
      case 'add': {
        const allowed = c.state === 'ACTIVE' || (c.state === 'UNINITIALIZED' && c.hsms === 0)
        if (await this.ask('CreateHsm', { ClusterId, AvailabilityZone: ZONE }, allowed)) c.hsms += 1
        return
      }
      case 'remove': {
        const HsmId = before?.Hsms[0]?.HsmId ?? 'hsm-aaaaaaaaaaa'
        if (await this.ask('DeleteHsm', { ClusterId, HsmId }, c.hsms > 0)) c.hsms -= 1
        return
      }
      case 'initialize': {
        const { csr, ...signed } = certificates
        // The simulated HSM has no key: a real request for a certificate stands in for its own.
        if (c.hsms > 0) await api.database.read.clusters.update(c.id, { clusterCsr: csr })
        const allowed = c.state === 'UNINITIALIZED' && c.hsms > 0
        if (await this.ask('InitializeCluster', { ClusterId, ...signed }, allowed)) c.state = 'INITIALIZED'
        return
      }
      case 'activate':
        if (c.state === 'INITIALIZED' && c.hsms > 0) await this.activate(c)
        return
      case 'delete': {
        const allowed = c.state !== 'DELETED' && c.hsms === 0
        if (await this.ask('DeleteCluster', { ClusterId }, allowed)) c.state = 'DELETED'
        return
      }
      case 'type': {
        const allowed = c.state === 'ACTIVE' && c.type === 'hsm1.medium'
        if (!(await this.ask('ModifyCluster', { ClusterId, HsmType: 'hsm2m.medium' }, allowed))) return
        c.type = 'hsm2m.medium'
        c.rollbackUntil = now().getTime() + 24 * HOUR
        return
      }
      case 'roll-back': {
        const inTime = c.rollbackUntil !== undefined && now().getTime() < c.rollbackUntil
        const allowed = c.state === 'ACTIVE' && c.type === 'hsm2m.medium' && inTime
        if (!(await this.ask('ModifyCluster', { ClusterId, HsmType: 'hsm1.medium' }, allowed))) return
        c.type = 'hsm1.medium'
        delete c.rollbackUntil
        return
      }
      case 'retention': {
        const BackupRetentionPolicy = { Type: 'DAYS', Value: '30' }
        if (await this.ask('ModifyCluster', { ClusterId, BackupRetentionPolicy }, c.state !== 'DELETED'))
          c.retention = 30
        return
      }
      case 'tag': {
        const TagList = [{ Key: 'k', Value: 'v' }]
        if (await this.ask('TagResource', { ResourceId: c.id, TagList }, c.state !== 'DELETED')) c.tags = 1
        return
      }
      case 'untag':
        if (await this.ask('UntagResource', { ResourceId: c.id, TagKeyList: ['k'] }, c.state !== 'DELETED')) c.tags = 0
        return
      default:
        throw new Error(`no action ${action}`)
    }
  }

  /** As a client does it over the data plane: the watcher sees it. */
  async activate(c: ModelCluster): Promise<void> {
    for (const hsm of world.hsms.values()) if (hsm.clusterId === c.id) hsm.phase = 'active'
    const stop = new AbortController()
    const watching = watch({ ...ctx, signal: stop.signal })
    while ((await api.database.read.clusters.find(c.id))?.state !== 'ACTIVE') {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    stop.abort()
    await watching
    c.state = 'ACTIVE'
    count('activated')
  }

  async onBackup(action: string, id: string, state: BackupState): Promise<void> {
    const BackupId = id
    const ResourceArn = `arn:aws:cloudhsm:us-east-1:000000000000:backup/${id}`
    const ready = state === 'READY'
    switch (action) {
      case 'restore-cluster':
        if (ready) await this.create('hsm2m.medium', id)
        else await this.ask('CreateCluster', { HsmType: 'hsm2m.medium', SubnetIds: SUBNETS, SourceBackupId: id }, false)
        return
      case 'delete-backup': {
        if (ready && this.clusters.some((each) => each.state === 'ACTIVE' && each.hsms === 0)) {
          const { status, body } = await api.call('DeleteBackup', { BackupId })
          if (status === 200) this.backups.set(id, 'PENDING_DELETION')
          else assert.match(String(body['Message']), /holds all that the cluster/)
        } else if (await this.ask('DeleteBackup', { BackupId }, ready)) this.backups.set(id, 'PENDING_DELETION')
        return
      }
      case 'restore-backup':
        if (await this.ask('RestoreBackup', { BackupId }, state === 'PENDING_DELETION')) this.backups.set(id, 'READY')
        return
      case 'pin':
        await this.ask('ModifyBackupAttributes', { BackupId, NeverExpires: true }, state !== 'DELETED')
        return
      case 'copy':
        await this.ask('CopyBackupToRegion', { BackupId, DestinationRegion: 'eu-west-1' }, ready)
        return
      case 'put-policy': {
        const Principal = { AWS: '222222222222' }
        const Statement = [{ Effect: 'Allow', Principal, Action: 'cloudhsm:CreateCluster', Resource: ResourceArn }]
        const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
        await this.ask('PutResourcePolicy', { ResourceArn, Policy }, ready)
        return
      }
      case 'delete-policy':
        await this.ask('DeleteResourcePolicy', { ResourceArn }, state !== 'DELETED')
        return
      default:
        throw new Error(`no action ${action}`)
    }
  }

  async take({ action, pick, hours, killAt }: Step): Promise<void> {
    let mayAge = false
    if (action === 'create' || this.clusters.length === 0) {
      await this.create(pick % 2 === 0 ? 'hsm1.medium' : 'hsm2m.medium')
    } else if (action === 'clock') {
      count('clock moved')
      aheadMs += hours * HOUR
      await keepHouse(ctx)
      mayAge = true
    } else if (/backup|pin|copy|policy|restore/.test(action)) {
      const known = [...this.backups]
      const [id, state] = known[pick % known.length] ?? []
      if (id !== undefined && state !== undefined) await this.onBackup(action, id, state)
    } else {
      const cluster = this.clusters[pick % this.clusters.length]
      if (cluster) await this.onCluster(action, cluster)
    }
    await settle(killAt)
    await this.check(mayAge)
  }

  async check(mayAge: boolean): Promise<void> {
    const { clusters, backups } = await this.shown()
    // A deleted cluster is shown for a day, which a move of the clock ends.
    const living = this.clusters.filter(({ state }) => state !== 'DELETED')
    const modelled = living.map((c) => ({
      ...{ id: c.id, state: c.state, type: c.type, retention: String(c.retention) },
      ...{ hsms: Array.from({ length: c.hsms }, () => `ACTIVE ${c.type}`), tags: c.tags },
    }))
    const seen = clusters
      .filter(({ State }) => State !== 'DELETED')
      .map((c) => ({
        ...{ id: c.ClusterId, state: c.State, type: c.HsmType, retention: c.BackupRetentionPolicy.Value },
        ...{ hsms: c.Hsms.map((hsm) => `${hsm.State} ${hsm.HsmType}`), tags: c.TagList.length },
      }))
    const byId = (a: { id: string }, b: { id: string }) => a.id.localeCompare(b.id)
    assert.deepEqual(seen.toSorted(byId), modelled.toSorted(byId))
    const states = new Map(backups.map((each) => [each.BackupId, each.BackupState]))
    for (const [id, state] of this.backups) {
      const is = states.get(id) ?? 'DELETED'
      const follows: readonly string[] = mayAge ? BACKUP_TRANSITIONS[state] : []
      assert.ok(is === state || follows.includes(is), `${id} went from ${state} to ${is}`)
      this.backups.set(id, z.enum(['READY', 'PENDING_DELETION', 'DELETED']).parse(is))
    }
    for (const [id, state] of states) {
      if (this.backups.has(id)) continue
      assert.equal(state, 'READY', `${id} is new`)
      this.backups.set(id, 'READY')
    }
  }
}

const CHANGING = Object.keys(OPERATIONS).filter((name) => !/^(Describe|List|Get)/.test(name))

const steps = fc.array(
  fc.record({
    action: fc.constantFrom(...ACTIONS),
    pick: fc.nat(40),
    hours: fc.constantFrom(1, 20, 30, 24 * 8, 24 * 40),
    killAt: fc.option(fc.nat(8), { nil: undefined, freq: 2 }),
  }),
  { minLength: 20, maxLength: 40 },
)

test('clusters, HSMs and backups are what the state machines say, whatever is asked and whoever dies', async () => {
  const seed = Number(process.env['STRONGROOM_SEED'] ?? 20_260_817)
  const property = fc.asyncProperty(steps, async (sequence) => {
    const run = new Run()
    // Most of what can happen needs a cluster that is at work.
    const opening = ['create', 'add', 'initialize', 'activate'].map((action, at) => ({
      ...{ action, pick: 0, hours: 1, killAt: sequence[at]?.killAt },
    }))
    for (const step of [...opening, ...sequence]) await run.take(step)
  })
  await fc.assert(property, { seed, numRuns: 10, endOnFailure: true })
  // That the sequences reach everything is part of what is shown.
  for (const operation of CHANGING) assert.ok(counts.has(`${operation} done`), `${operation} was never done`)
  assert.ok(counts.has('worker killed') && counts.has('activated') && counts.has('clock moved'))
})
