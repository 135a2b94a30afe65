/** Changes of accounts as rows of the trail, in CloudTrail's shape. Bounded in number, and in size by what a name or a policy may be. */
import { randomUUID } from 'node:crypto'
import type { AuditEntry } from '../../state/audit.ts'
import type { Directory } from '../../provider-schema/identity.ts'
import { changesBetween, type DirectoryChange } from './directory-changes.ts'

/** Who changed accounts: a person at a terminal, or a region that took over what another had. */
export type ChangedBy =
  | { readonly kind: 'operator'; readonly login: string; readonly host: string; readonly userAgent: string }
  | { readonly kind: 'region'; readonly region: string }

export interface DirectoryChanged {
  readonly before: Directory
  readonly after: Directory
  readonly by: ChangedBy
  readonly at: Date
  /** Whose trail it is. */
  readonly region: string
  /** The same in all regions, for all that was changed together. */
  readonly requestId: string
}

/** More of them at once, as a region has that was away for long, are told by their number. */
export const MOST_EVENTS = 200

export function directoryEntries(changed: DirectoryChanged): AuditEntry[] {
  const changes = changesBetween(changed.before, changed.after)
  if (changes.length <= MOST_EVENTS) return changes.map((change) => entryOf(change, changed))
  const kept = changes.slice(0, MOST_EVENTS - 1).map((change) => entryOf(change, changed))
  return [...kept, restEntry(changes.length - kept.length, changed)]
}

function entryOf({ source, name, account, request, response, resource }: DirectoryChange, changed: DirectoryChanged) {
  const { by, requestId } = changed
  const event = {
    ...common(changed),
    eventSource: source,
    eventName: name,
    requestParameters: request,
    responseElements: response ?? null,
    requestID: requestId,
    resources: [{ accountId: account, type: resource.type, ARN: resource.arn }],
    eventType: by.kind === 'operator' ? 'AwsApiCall' : 'AwsServiceEvent',
    recipientAccountId: account,
  }
  return row(changed, { account, operation: name, resource: resource.arn, event })
}

function restEntry(left: number, changed: DirectoryChanged): AuditEntry {
  const event = {
    ...common(changed),
    eventSource: 'organizations.amazonaws.com',
    eventName: 'AccountsReplaced',
    requestID: changed.requestId,
    eventType: 'AwsServiceEvent',
    serviceEventDetails: { furtherChanges: left },
  }
  return row(changed, { account: '000000000000', operation: 'AccountsReplaced', resource: null, event })
}

function common({ by, at, region }: DirectoryChanged) {
  return {
    eventVersion: '1.11',
    userIdentity: userIdentity(by),
    eventTime: `${at.toISOString().slice(0, 19)}Z`,
    awsRegion: region,
    ...(by.kind === 'operator' && { sourceIPAddress: by.host, userAgent: by.userAgent }),
    eventID: randomUUID(),
    readOnly: false,
    managementEvent: true,
    eventCategory: 'Management',
  }
}

/** Nobody that IAM knows: who may read the data directory. */
function userIdentity(by: ChangedBy) {
  return by.kind === 'operator'
    ? { type: 'Unknown', principalId: by.login, arn: arnOf(by), userName: by.login, invokedBy: 'strongroom account' }
    : { type: 'AWSService', arn: arnOf(by), invokedBy: 'strongroom' }
}

const arnOf = (by: ChangedBy) =>
  by.kind === 'operator'
    ? `arn:strongroom:operator::${by.host}:user/${by.login}`
    : `arn:strongroom:region::${by.region}`

function row(
  { at, by, requestId }: DirectoryChanged,
  what: {
    readonly account: string
    readonly operation: string
    readonly resource: string | null
    readonly event: object
  },
): AuditEntry {
  const { account, operation, resource, event } = what
  return {
    at,
    requestId,
    account: account as AuditEntry['account'],
    principal: arnOf(by),
    operation,
    resource,
    resources: resource === null ? [] : [resource],
    sourceIp: null,
    errorCode: null,
    event: JSON.stringify(event),
  }
}
