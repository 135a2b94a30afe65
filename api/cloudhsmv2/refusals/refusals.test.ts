/**
 * Every refusal proved: each operation × each kind of caller × each state of its resource × each constraint of its input
 * broken once. What must be answered is computed from tables by the order of checks (control-plane reference §1.4): who
 * calls, JSON types, IAM, constraints, lookup, state. No refusal changes a row of any table.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ACCESS } from '../../../provider-schema/access.ts'
import type { BackupId, ClusterId, HsmId } from '../../../provider-schema/ids.ts'
import { OPERATIONS } from '../../../provider-schema/operations.ts'
import {
  BACKUP_STATES,
  CLUSTER_STATES,
  HSM_STATES,
  type BackupState,
  type ClusterState,
  type HsmState,
} from '../../../provider-schema/states.ts'
import { ACCOUNT, testApi, type TestApi } from '../../testing/api.ts'
import { backupRow, clusterIn, hsmIn, setClusterState } from '../../testing/fixtures.ts'
import { userWith } from '../../testing/identities.ts'
import { workshop } from '../../testing/openssl.ts'
import type { ToSign } from '../../testing/signer.ts'
import { breachesOf, type Breach } from './broken-inputs.ts'
import { COMPLETE, SCENARIOS, type Named, type Scenario } from './scenarios.ts'

const CALLERS = ['unsigned', 'unknown key', 'wrong secret', 'other account', 'denied by policy', 'allowed'] as const
type CallerKind = (typeof CALLERS)[number]

/** An error's code, or that the request is done. */
type Answer = string
const DONE = 'done'
const INVALID = 'CloudHsmInvalidRequestException'
const MISSING = 'CloudHsmResourceNotFoundException'
const DENIED = 'AccessDeniedException'

/** A state of the resource; or that there never was one of that id. */
type State = ClusterState | HsmState | BackupState | 'never there'
const NEVER: Named = {
  clusterId: 'cluster-aaaaaaaaaaa',
  hsmId: 'hsm-aaaaaaaaaaa',
  backupId: 'backup-aaaaaaaaaaa',
  backupArn: `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:backup/backup-aaaaaaaaaaa`,
  signedCert: 'none',
  trustAnchor: 'none',
}

const STATES_OF: Readonly<Record<Scenario['on'], readonly State[]>> = {
  nothing: ['never there'],
  cluster: [...CLUSTER_STATES, 'never there'],
  hsm: [...HSM_STATES, 'never there'],
  backup: [...BACKUP_STATES, 'never there'],
}

let api: TestApi
let who: Readonly<Record<CallerKind, Partial<ToSign>>>
let certificates: { readonly csr: string; readonly signedCert: string; readonly trustAnchor: string }

before(async () => {
  const limits = { clustersPerAccount: 10_000, hsmsPerAccount: 10_000, hsmsPerCluster: 28 }
  const offeredHsmTypes = ['hsm2m.medium', 'hsm1.medium'] as const
  api = await testApi({ limits, offeredHsmTypes }, { inProcess: true, freshMs: 3_600_000 })
  const everything = { Effect: 'Allow', Action: '*', Resource: '*' }
  who = {
    unsigned: { anonymous: true },
    'unknown key': { accessKeyId: 'nobody' },
    'wrong secret': { secret: 'wrong' },
    'other account': { accessKeyId: 'other', secret: 'other' },
    'denied by policy': await userWith(api, {
      statements: [everything, { ...everything, Effect: 'Deny', Action: 'cloudhsm:*' }],
    }),
    allowed: await userWith(api, { statements: [everything] }),
  }
  // From now on the subnets are its account's.
  await clusterIn(api, 'ACTIVE')
  const shop = await workshop()
  try {
    const csr = await shop.request('hsm')
    const trustAnchor = await shop.selfSigned('ca')
    certificates = { csr, trustAnchor, signedCert: await shop.issue('hsm', 'ca') }
  } finally {
    await shop.remove()
  }
})
after(() => api.close())

/** What must be answered. */
function expected(scenario: Scenario, state: State, caller: CallerKind, breach: Breach | undefined): Answer {
  if (caller === 'unsigned') return 'MissingAuthenticationTokenException'
  if (caller === 'unknown key') return 'UnrecognizedClientException'
  if (caller === 'wrong secret') return 'InvalidSignatureException'
  if (breach?.kind === 'type') return 'SerializationException'
  if (caller === 'denied by policy') return DENIED
  if (caller === 'other account' && namesForeignArn(scenario, breach)) return DENIED
  if (breach) return INVALID
  if (scenario.on === 'nothing') {
    return caller === 'other account' && scenario.forAnother === 'refused' ? INVALID : DONE
  }
  if (caller === 'other account' || state === 'never there' || state === 'DELETED') return MISSING
  return (scenario.done as readonly State[]).includes(state) ? DONE : INVALID
}

/** By an ARN another account's resource is named, which is IAM's to refuse; by an id nothing but the caller's own is. */
function namesForeignArn({ operation, request }: Scenario, breach: Breach | undefined): boolean {
  const access = ACCESS[operation]
  if (!('member' in access) || breach?.member === access.member) return false
  const named = request(NEVER)[access.member]
  return typeof named === 'string' && named.startsWith('arn:')
}

async function answerTo(
  scenario: Scenario,
  request: object,
  caller: CallerKind,
): Promise<{ code: Answer; text: string }> {
  const { status, body, text } = await api.call(scenario.operation, request, who[caller])
  return { code: status === 200 ? DONE : String(body['__type']), text }
}

/** Puts the rows there that a scenario's request names, in a state. */
async function setUp(scenario: Scenario, state: State): Promise<Named> {
  const named = { ...NEVER, ...certificates }
  if (state === 'never there') return named
  switch (scenario.on) {
    case 'nothing':
      return named
    case 'backup': {
      const leaving = state === 'PENDING_DELETION' || state === 'DELETED'
      const id = await backupRow(api, NEVER.clusterId as ClusterId, {
        state: state as BackupState,
        ...(leaving && { deleteAt: new Date(Date.now() + 3_600_000) }),
      })
      return { ...named, backupId: id, backupArn: backupArn(id) }
    }
    case 'hsm': {
      const clusterId = await clusterIn(api, 'ACTIVE')
      return { ...named, clusterId, hsmId: await hsmIn(api, clusterId, state as HsmState) }
    }
    case 'cluster': {
      const isMigration = 'HsmType' in scenario.request(NEVER)
      const clusterId = await clusterIn(api, 'ACTIVE', isMigration ? { HsmType: 'hsm1.medium' } : {})
      const hsmId: HsmId | undefined = scenario.hsm && (await hsmIn(api, clusterId, scenario.hsm))
      await api.database.read.clusters.update(clusterId, { clusterCsr: certificates.csr })
      await setClusterState(api, clusterId, state as ClusterState)
      return { ...named, clusterId, ...(hsmId && { hsmId }) }
    }
  }
}

const backupArn = (id: BackupId) => `arn:aws:cloudhsm:us-east-1:${ACCOUNT}:backup/${id}`

/** A request that must be refused. */
interface Refused {
  readonly scenario: Scenario
  readonly state: State
  readonly caller: CallerKind
  readonly breach: Breach | undefined
  readonly request: object
}

const nameOf = ({ caller, breach }: Refused) => `${caller}, ${breach?.what ?? 'nothing broken'}`

/** Asks, and holds the answer against the tables. */
async function prove(refused: Refused): Promise<void> {
  const { scenario, state, caller, breach, request } = refused
  const { code, text } = await answerTo(scenario, request, caller)
  const what = `${nameOf(refused)}: ${text}`
  assert.equal(code, expected(scenario, state, caller, breach), what)
  if (code === INVALID && breach) assert.match(text, /validation errors? detected/, what)
}

/** Which of the requests changes something: asked only once all of them together have. */
async function culpritOf(all: readonly Refused[]): Promise<string> {
  for (const refused of all) {
    const before = await api.rows()
    await prove(refused)
    if ((await api.rows()) !== before) return nameOf(refused)
  }
  return `one of ${all.length} requests, the first time that it was sent`
}

/** Requests at once: as many as keep the connections to the database busy. */
const AT_ONCE = 40

async function proveAll(all: readonly Refused[]): Promise<void> {
  const before = await api.rows()
  for (let from = 0; from < all.length; from += AT_ONCE) await Promise.all(all.slice(from, from + AT_ONCE).map(prove))
  if ((await api.rows()) !== before) assert.fail(`a refusal changed something: ${await culpritOf(all)}`)
}

let cases = 0
after(() => assert.ok(cases > 30_000, `${cases} cases`))

for (const scenario of SCENARIOS) {
  const breaches = [...breachesOf(OPERATIONS[scenario.operation].input, COMPLETE), undefined]
  describe([scenario.operation, ...(scenario.when ? [scenario.when] : [])].join(', '), () => {
    for (const state of STATES_OF[scenario.on]) {
      test(scenario.on === 'nothing' ? 'of nothing' : `${scenario.on} ${state}`, async () => {
        const right = scenario.request(await setUp(scenario, state))
        const all = CALLERS.flatMap((caller) =>
          breaches.map((breach): Refused => {
            return { scenario, state, caller, breach, request: breach?.applyTo(right) ?? right }
          }),
        )
        const isRefused = ({ caller, breach }: Refused) => expected(scenario, state, caller, breach) !== DONE
        await proveAll(all.filter(isRefused))
        for (const { caller, request, breach } of all.filter((each) => !isRefused(each))) {
          assert.equal(breach, undefined)
          assert.deepEqual((await answerTo(scenario, request, caller)).code, DONE, caller)
        }
        cases += all.length
      })
    }
  })
}

test('there is a scenario of every operation', () => {
  assert.deepEqual(
    [...new Set(SCENARIOS.map(({ operation }) => operation))].toSorted(),
    Object.keys(OPERATIONS).toSorted(),
  )
})
