/** Whether a change that another HSM made has what it needs: what was signed for it, looked at with this HSM's own users. */
import type { HsmErrorCode } from '../protocol/errors.ts'
import type { Approval } from '../protocol/client/quorum.ts'
import {
  handleIn,
  hsmNumber,
  hsmNumberIn,
  recordsIn,
  serviceIn,
  TOKEN_LIFETIME_SECONDS,
  unixSecondsIn,
  usernameIn,
  type AdminService,
} from '../protocol/quorum.ts'
import { changedHandle, changePath, shareeOf, sharedBy } from '../vault/key-changes.ts'
import { decodeKey, keyPath, type KeyRecord } from '../vault/key-record.ts'
import type { RecordVersion, VersionedRecord } from '../vault/record-store.ts'
import { subjectOf } from '../vault/statements.ts'
import { challengeHead, isSignedToken } from '../vault/token-sign.ts'
import { approvalKeyIn, decodeUser, usernameOf, userPath, type UserRecord } from '../vault/user-record.ts'
import {
  approvalsPath,
  areOf,
  decodeApprovals,
  decodeRegistration,
  hashOf,
  serviceOf,
  type SpentApprovals,
  type SpentOn,
} from './spent-approvals.ts'
import type { Use } from './spent-tokens.ts'
import { requiredBy, valuePath } from './value-record.ts'

/** Clocks of two HSMs may differ by so much; its own part of a token an HSM dates by its own clock. */
const CLOCKS_APART_SECONDS = 300
/** A change is on its way to another HSM for no longer. */
const ON_THE_WAY_SECONDS = 10

/** What this HSM knows when it looks at a change. */
export interface Knowledge {
  readonly hsmId: string
  /** What holds of a path, with what is about to be taken over before the change. */
  readonly get: (path: string) => VersionedRecord | undefined
  /** The same without: what holds by what stands on disk. */
  readonly before: (path: string) => VersionedRecord | undefined
  /** What would hold of the path that this record says something about. */
  readonly with: (record: VersionedRecord) => VersionedRecord | undefined
  /** The record of this very path, with what is about to be taken over. */
  readonly kept: (path: string) => VersionedRecord | undefined
  readonly usesOf: (approvals: SpentApprovals) => readonly Use[]
  readonly unixSeconds: () => number
  /** Services whose changes the HSM that made it says that it sends with what was signed. */
  readonly carries: readonly string[]
}

export interface Judgement {
  /** Whose token it was. */
  readonly requester?: string | undefined
  /** Whose signatures verify. */
  readonly approvers: readonly string[]
  /** Why it is not as it must be. */
  readonly flaw?: { readonly code: HsmErrorCode; readonly why: string }
  /** Records of the other HSM that could tell more. */
  readonly askFor: readonly string[]
}

/** Nothing had to be signed, and nothing was. */
const FREE: Judgement = { approvers: [], askFor: [] }

/** What becomes of a path by a record: `value` will hold then. */
interface Change extends VersionedRecord {
  readonly record: VersionedRecord
}

/** Of a record that no service is for, that it needs nothing. */
export function judge(record: VersionedRecord, knowledge: Knowledge): Judgement {
  const path = subjectOf(record.path)
  const service = serviceOf(path)
  if (!service) return FREE
  const standing = knowledge.get(path)
  const value = knowledge.with(record)?.value
  // The undoing of a change that was not taken over here, and what changes nothing.
  if (sameValue(standing?.value, value)) return FREE
  const change = { path, record, version: record.version, ...(value && { value }) }
  const registered = service === 'user' ? judgeRegistration(change, standing, knowledge) : FREE
  if (registered.flaw) return registered
  const approved = judgeApprovals(change, standing, service, knowledge)
  return approved === FREE ? registered : approved
}

/** Whoever registers a key for approvals has signed with it. */
function judgeRegistration(
  change: Change,
  standing: VersionedRecord | undefined,
  { get, before, carries }: Knowledge,
): Judgement {
  const user = userIn(change)
  const key = user && approvalKeyIn(user, user.role)
  const had = userIn(standing)
  const hadKey = had && approvalKeyIn(had, had.role)
  if (!user || !key || (hadKey && Buffer.from(hadKey).equals(key)) || !carries.includes('registration')) return FREE
  const beside = get(approvalsPath(change.record.path))
  const proof = beside?.value && decodeRegistration(beside.value)?.registration
  const { username } = user
  if (
    proof &&
    isOfUser(proof.preimage, user, change.version.hsmId) &&
    isSignedToken(key, proof.preimage, proof.signature)
  ) {
    return { requester: username, approvers: [username], askFor: [] }
  }
  const last = before(approvalsPath(change.record.path))
  const taken = last?.value && decodeRegistration(last.value)
  if (taken && bringsBack(change.record, taken.changes)) return FREE
  const why = `a key for approvals was registered for ${username} without a signature by it`
  return { approvers: [], flaw: { code: 'QuorumFailed', why }, askFor: [approvalsPath(change.record.path)] }
}

function isOfUser(preimage: Uint8Array, user: UserRecord, hsmId: string): boolean {
  const head = challengeHead(hsmId, user)
  if (head.equals(preimage.subarray(0, head.length))) return true
  const [record, ...more] = recordsIn(preimage) ?? []
  if (!record || more.length > 0) return false
  const ofUser = serviceIn(record) === 'registration' && usernameIn(record) === user.username
  return ofUser && hsmNumberIn(record) === hsmNumber(hsmId)
}

function judgeApprovals(
  change: Change,
  standing: VersionedRecord | undefined,
  service: AdminService | 'key-management',
  knowledge: Knowledge,
): Judgement {
  const { record } = change
  const { required, named, key } = requirementOf(change, standing, service, knowledge)
  const found = approvalsOf(record, { ...knowledge, required })
  if (!found) {
    if (required <= 1) return FREE
    const why = `the service ${service} asks for ${required} approvals, and none came with the change`
    return { approvers: [], flaw: { code: 'QuorumRequired', why }, askFor: [...named, approvalsPath(record.path)] }
  }
  const { spent, by } = found
  if (isUndoing(record, knowledge.usesOf(spent))) return FREE
  const records = recordsIn(spent.approvalData) ?? []
  const [first] = records
  const requester = first && usernameIn(first)
  const approvers = [
    ...new Set(spent.signatures.filter((each) => hasSigned(each, spent, key, knowledge)).map((each) => each.username)),
  ]
  const flaw = () => {
    const same = records.every((each) => serviceIn(each) === service && usernameIn(each) === requester)
    if (!first || !same) return `they are not for the service ${service}`
    if (key && records.some((each) => handleIn(each) !== key.handle)) return 'they are for another key'
    if (hsmNumberIn(first) !== hsmNumber(by.hsmId)) return 'they were given for another HSM'
    if (hasExpired(records, knowledge)) return 'their token has expired'
    if (isSpent(record, by, knowledge.usesOf(spent))) return 'they were spent on another change before'
    if (approvers.length < Math.max(required, 1))
      return `${approvers.length} of ${required} verify with the keys that this HSM knows`
    return undefined
  }
  const why = flaw()
  if (why === undefined) return { requester, approvers, askFor: [] }
  const signers = spent.signatures.flatMap(({ username }) => [
    userPath(username),
    ...(key ? [changePath(key.handle, { username, shared: true })] : []),
  ])
  return { requester, approvers, flaw: { code: 'QuorumFailed', why }, askFor: [...named, ...signers] }
}

interface KeyInQuestion extends KeyRecord {
  readonly handle: string
}

interface Requirement {
  /** Approvals that the change must have; 1 and less for none. */
  readonly required: number
  /** Records that say so. */
  readonly named: readonly string[]
  readonly key?: KeyInQuestion | undefined
}

function requirementOf(
  change: VersionedRecord,
  standing: VersionedRecord | undefined,
  service: AdminService | 'key-management',
  { get, carries }: Knowledge,
): Requirement {
  if (service !== 'key-management') {
    const value = get(valuePath(service))
    // A value that was set later than the change says nothing about it.
    const known = value && value.version.counter > change.version.counter ? 1 : requiredBy(value)
    return { required: isOwn(change, standing) ? 1 : known, named: [valuePath(service)] }
  }
  const handle = changedHandle(change.path) ?? ''
  const record = get(keyPath(handle))
  const sharee = shareeOf(change.path)
  const named = [keyPath(handle), ...(sharee === undefined ? [] : [userPath(sharee)])]
  // A deletion takes what became of the key along.
  if (!record?.value) return { required: 0, named }
  const key = { ...decodeKey(record.value), handle }
  // HSMs of before send nothing along, and who is deleted shares nothing any more.
  const free = !carries.includes('key-management') || isFarewell(change, sharee, get)
  return { required: free ? 0 : key.manageQuorum, named, key }
}

/** Users change their own passwords and keys alone: who comes, who goes and who is something else must have been approved. */
function isOwn({ path, value }: VersionedRecord, standing: VersionedRecord | undefined): boolean {
  if (usernameOf(path) === undefined || value === undefined || standing?.value === undefined) return false
  return decodeUser(value).role === decodeUser(standing.value).role
}

function isFarewell({ path, value }: VersionedRecord, sharee: string | undefined, get: Knowledge['get']): boolean {
  if (sharee === undefined || !value || sharedBy(path, value)) return false
  return get(userPath(sharee))?.value === undefined
}

/**
 * Those of the change itself, or of one that this HSM did not get to see since: a record that changes twice in a row comes
 * once.
 */
function approvalsOf(
  change: VersionedRecord,
  { get, kept, required }: Pick<Knowledge, 'get' | 'kept'> & Pick<Requirement, 'required'>,
): { readonly spent: SpentApprovals; readonly by: RecordVersion } | undefined {
  const beside = get(approvalsPath(change.path))
  if (!beside?.value) return undefined
  const { counter } = beside.version
  const since = counter > (kept(change.path)?.version.counter ?? -1) && counter < change.version.counter
  if (!areOf(beside.version, change.version) && !(since && required > 1)) return undefined
  const spent = decodeApprovals(beside.value)
  return spent && { spent, by: beside.version }
}

/** With a key that the user had before, or has by now. */
function hasSigned(
  { username, role, signature }: Approval,
  { approvalData }: SpentApprovals,
  key: KeyInQuestion | undefined,
  knowledge: Knowledge,
): boolean {
  if (role !== (key ? 'crypto-user' : 'admin')) return false
  if (key && !hasSay(key, username, knowledge)) return false
  const path = userPath(username)
  return [knowledge.before(path), knowledge.get(path)].some((record) => {
    const user = userIn(record)
    const publicKey = user && approvalKeyIn(user, role)
    return publicKey ? isSignedToken(publicKey, approvalData, signature) : false
  })
}

function hasSay(key: KeyInQuestion, username: string, { get, before }: Knowledge): boolean {
  if (key.owner === username) return true
  const path = changePath(key.handle, { username, shared: true })
  const said = [before(path), get(path)].flatMap((record) => (record?.value ? [sharedBy(path, record.value)] : []))
  return said.length > 0 ? said.includes(true) : key.sharedWith.includes(username)
}

function hasExpired(records: readonly Buffer[], { hsmId, unixSeconds }: Knowledge): boolean {
  const own = records.find((record) => hsmNumberIn(record) === hsmNumber(hsmId))
  const [dated = own] = own ? [own] : records
  if (!dated) return false
  const slack = own ? ON_THE_WAY_SECONDS : CLOCKS_APART_SECONDS
  return unixSecondsIn(dated) + TOKEN_LIFETIME_SECONDS + slack < unixSeconds()
}

/** A token can be spent once, on the records of one operation. */
function isSpent({ path }: VersionedRecord, by: RecordVersion, uses: readonly Use[]): boolean {
  return uses.some((use) => {
    if (use.path !== path) return !use.changes?.some((change) => change.path === path)
    // HSMs of before do not say what stood: theirs may be an undoing.
    return use.changes !== undefined && use.version.counter < by.counter
  })
}

/** What was spent on a change takes it back as well: then what stood before stands again. */
function isUndoing(change: VersionedRecord, uses: readonly Use[]): boolean {
  return uses.some(
    (use) =>
      use.path === change.path && use.version.counter + 1 < change.version.counter && bringsBack(change, use.changes),
  )
}

function bringsBack({ path, value }: VersionedRecord, changes: readonly SpentOn[] = []): boolean {
  const change = changes.find((each) => each.path === path)
  return change !== undefined && sameValue(change.before, value && hashOf(value))
}

const userIn = (record: VersionedRecord | undefined) => (record?.value ? decodeUser(record.value) : undefined)

const sameValue = (one: Uint8Array | undefined, other: Uint8Array | undefined) =>
  one === undefined || other === undefined ? one === other : Buffer.from(one).equals(other)
