/**
 * Whether the caller may: asked after the JSON types and before anything of a request is looked at (reference §1.4), so
 * that nobody learns by its refusals what there is.
 */
import { ACCESS, arnOf, SHAREABLE, targetOf, type Access, type Target } from '../../provider-schema/access.ts'
import { ServiceError } from '../../provider-schema/errors.ts'
import type { BackupId, ClusterId } from '../../provider-schema/ids.ts'
import type { OperationName } from '../../provider-schema/operations.ts'
import type { Backup } from '../../state/backups.ts'
import type { Caller } from '../caller.ts'
import { isResourceTagKey } from '../identity/context.ts'
import { evaluate, type Grants, type Question } from '../identity/evaluate.ts'
import type { Policy } from '../identity/policy.ts'
import { refusalText } from '../identity/refusal.ts'
import { contextOf, type RequestFacts } from '../identity/request-context.ts'
import type { ApiPorts } from '../ports.ts'
import { resourcePolicyOf } from './resource-policy.ts'

/** Throws AccessDeniedException; CloudHsmTagException when it is for the tags that something is to be created with. */
export async function authorize(
  operation: OperationName,
  request: object,
  caller: Caller,
  ports: ApiPorts,
): Promise<void> {
  const access: Access = ACCESS[operation]
  const target = targetOf(operation, request, { region: ports.region, account: caller.account })
  const resource = await resourceOf(operation, target, caller.grants, ports)
  if (isUnlimited(caller.grants) && !resource.policy && target.account === caller.account) return
  const facts = { ...requestTags(access, request), ...(resource.tags && { resourceTags: resource.tags }) }
  const context = contextFor(caller, ports, target.account, facts)
  const { tagKeys = [] } = facts
  requireDistinctKeys(tagKeys)
  const isTagOnCreate = access.tagsOnCreate !== undefined
  const question = { action: `cloudhsm:${operation}`, resource: target.arn, resourceAccount: target.account, context }
  requireAllowed(caller, resource.policy, question, isTagOnCreate)
  if (access.tagsOnCreate && tagKeys.length > 0) {
    // What is made is the caller's own, whoever's backup it is made from.
    const { account } = caller
    const made = arnOf(access.tagsOnCreate, '*', { region: ports.region, account })
    const tagging = { action: 'cloudhsm:TagResource', resource: made, resourceAccount: account, context }
    requireAllowed(caller, undefined, tagging, true)
  }
}

/** Whether a backup that others share lets the caller see it. */
export function maySee(backup: Backup, caller: Caller, ports: ApiPorts): boolean {
  const policy = resourcePolicyOf(backup, ports.log)
  const { account } = backup
  return evaluate(asking(caller), caller.grants, policy, {
    action: 'cloudhsm:DescribeBackups',
    resource: arnOf('backup', backup.id, { region: ports.region, account }),
    resourceAccount: account,
    context: contextFor(caller, ports, account, { resourceTags: backup.tags }),
  }).allowed
}

const asking = ({ account, principal: { arn, identityArn } }: Caller) => ({ account, arn, identityArn })

function contextFor(
  { principal, sourceIp }: Caller,
  { region, realClock }: ApiPorts,
  resourceAccount: string,
  facts: Pick<RequestFacts, 'requestTags' | 'tagKeys' | 'resourceTags'>,
) {
  return contextOf({ principal, region, sourceIp, now: realClock(), resourceAccount, ...facts })
}

/** For anything else a backup's policy has no meaning, whatever it says. */
const isShareable = (operation: OperationName) => SHAREABLE.some((each) => each === operation)

const isUnlimited = ({ identity, session }: Grants) => identity === 'everything' && session === undefined

function requireAllowed(caller: Caller, policy: Policy | undefined, question: Question, isTagOnCreate: boolean): void {
  const { principal, grants } = caller
  const who = asking(caller)
  const decision = evaluate(who, grants, policy, question)
  if (decision.allowed) return
  const isForItsTags = isTagOnCreate && evaluate(who, grants, policy, question, { ignoreTagConditions: true }).allowed
  throw new ServiceError(
    isForItsTags ? 'CloudHsmTagException' : 'AccessDeniedException',
    refusalText(principal.arn, question, decision),
  )
}

interface Resource {
  readonly policy?: Policy | undefined
  readonly tags?: Readonly<Record<string, string>> | undefined
}

/** What is stored of a resource, as far as the decision depends on it; nothing when it is not there. */
async function resourceOf(
  operation: OperationName,
  { kind, id, account }: Target,
  grants: Grants,
  { database, log }: ApiPorts,
): Promise<Resource> {
  const wantsTags = looksAtResourceTags(grants)
  if (id === undefined) return {}
  if (kind === 'backup' && (wantsTags || isShareable(operation))) {
    const found = await database.read.backups.sharing(id as BackupId)
    if (found?.account !== account || found.state === 'DELETED') return {}
    return { tags: found.tags, ...(isShareable(operation) && { policy: resourcePolicyOf(found, log) }) }
  }
  if (kind === 'cluster' && wantsTags) {
    const found = await database.read.clusters.find(id as ClusterId)
    return found?.account === account ? { tags: found.tags } : {}
  }
  return {}
}

function looksAtResourceTags({ identity, session }: Grants): boolean {
  const policies = [...(identity === 'everything' ? [] : identity), ...(session ? [session] : [])]
  return policies.some(({ usesKey }) => usesKey(isResourceTagKey))
}

/** The most that the constraints, which are asked later, let through; one more tells that they were broken. */
const MOST_TAGS = 51
const MOST_CHARACTERS = 257

/** Tags of the request as they stand there, whatever their constraints say. */
function requestTags({ tags }: Access, request: object) {
  if (!tags) return {}
  const list: unknown = Object.getOwnPropertyDescriptor(request, tags.member)?.value
  if (!Array.isArray(list)) return {}
  const items: unknown[] = list.slice(0, MOST_TAGS)
  if (tags.of === 'keys') return { tagKeys: items.map(bounded) }
  const pairs = items.map((item): readonly [string, string] => {
    const { Key, Value } = (typeof item === 'object' && item !== null ? item : {}) as Partial<Record<string, unknown>>
    return [bounded(Key), bounded(Value)]
  })
  return { requestTags: pairs, tagKeys: pairs.map(([key]) => key) }
}

/** Policies do not tell cases apart: of `team` and `TEAM` in one request they would see one, and both would be stored. */
function requireDistinctKeys(keys: readonly string[]): void {
  if (new Set(keys.map((key) => key.toLowerCase())).size === new Set(keys).size) return
  throw new ServiceError('CloudHsmTagException', 'Tag keys that differ in case only cannot be given together.')
}

const bounded = (value: unknown) => (typeof value === 'string' ? value.slice(0, MOST_CHARACTERS) : '')
