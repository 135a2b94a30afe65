/**
 * A call of the API as CloudTrail records it: "CloudTrail record contents" in the AWS CloudTrail User Guide, and recorded
 * events of CloudHSM (reference §3.4). Bounded in size; holds no secret, since no call carries one.
 */
import { randomUUID } from 'node:crypto'
import type { ServiceError } from '../../provider-schema/errors.ts'
import type { AccountId } from '../../provider-schema/ids.ts'
import type { AuditEntry } from '../../state/audit.ts'
import { basicFormat } from '../aws-json/authenticate.ts'
import type { Caller } from '../caller.ts'

export interface Call {
  /** Of the service model, e.g. `CreateHsm`. */
  readonly operation: string
  /** `cloudhsm` or `sts`. */
  readonly service: string
  readonly region: string
  readonly caller: Caller
  readonly at: Date
  /** As it was sent; undefined when it could not be read. */
  readonly request: object | undefined
  /** Of a call that changed something; what a read showed is not recorded, as at AWS. */
  readonly response?: object
  readonly error?: ServiceError
  /** Ids of what the call was about, beside those that its request names; the most important first. */
  readonly resources?: readonly string[]
}

/** Characters that are kept of a user agent, of an error's text and of any other text. */
const MOST = { userAgent: 256, message: 1_024, text: 512 } as const
/** Characters of JSON that are kept of a request or a response. */
const MOST_ELEMENTS = 16 * 1024

export const isReadOnly = (operation: string) => /^(Describe|List|Get|AssumeRole)/.test(operation)

/** The row of the trail for a call. */
export function trailEntry(call: Call): AuditEntry {
  const { operation, service, region, caller, at, request, response, error } = call
  const resources = [...new Set([...(call.resources ?? []), ...idsIn(request)])].slice(0, 16)
  const event = {
    eventVersion: '1.11',
    userIdentity: userIdentity(caller),
    eventTime: `${at.toISOString().slice(0, 19)}Z`,
    eventSource: `${service}.amazonaws.com`,
    eventName: operation,
    awsRegion: region,
    sourceIPAddress: caller.sourceIp,
    userAgent: caller.userAgent?.slice(0, MOST.userAgent),
    ...(error && { errorCode: error.code, errorMessage: error.message.slice(0, MOST.message) }),
    requestParameters: elements(request),
    responseElements: elements(response),
    requestID: caller.requestId,
    eventID: randomUUID(),
    readOnly: isReadOnly(operation),
    ...(resources.length > 0 && { resources: resources.map((id) => resourceOf(id, region, caller.account)) }),
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: caller.account,
    eventCategory: 'Management',
  }
  return {
    at,
    requestId: caller.requestId,
    account: caller.account,
    principal: caller.principalArn,
    operation,
    resource: resources[0] ?? null,
    resources,
    sourceIp: caller.sourceIp ?? null,
    errorCode: error?.code ?? null,
    event: JSON.stringify(event),
  }
}

/** Of what happened in no account. */
const NO_ACCOUNT = '000000000000' as AccountId

/** Says that events were lost between two times: more came than could be kept while the database was away. */
export function gapEntry(gap: {
  readonly lost: number
  readonly from: Date
  readonly to: Date
  readonly region: string
}) {
  const { lost, from, to, region } = gap
  const requestId = randomUUID()
  const event = {
    eventVersion: '1.11',
    userIdentity: { type: 'AWSService', invokedBy: 'strongroom' },
    eventTime: `${to.toISOString().slice(0, 19)}Z`,
    eventSource: 'cloudhsm.amazonaws.com',
    eventName: 'TrailGap',
    awsRegion: region,
    eventID: requestId,
    readOnly: false,
    eventType: 'AwsServiceEvent',
    managementEvent: true,
    serviceEventDetails: { lost, from: from.toISOString(), to: to.toISOString() },
    eventCategory: 'Management',
  }
  return {
    at: to,
    requestId,
    account: NO_ACCOUNT,
    principal: 'strongroom',
    operation: 'TrailGap',
    resource: null,
    resources: [],
    sourceIp: null,
    errorCode: null,
    event: JSON.stringify(event),
  } satisfies AuditEntry
}

function userIdentity({ principalArn, account, accessKeyId }: Caller) {
  const common = { principalId: accessKeyId, arn: principalArn, accountId: account, accessKeyId }
  const [, , , , , path = ''] = principalArn.split(':')
  const [kind = '', ...rest] = path.split('/')
  if (kind === 'root') return { type: 'Root', ...common, principalId: account }
  if (kind === 'assumed-role') {
    const [role = '', session = ''] = rest
    const issuer = { type: 'Role', arn: `arn:aws:iam::${account}:role/${role}`, accountId: account, userName: role }
    return {
      type: 'AssumedRole',
      ...common,
      principalId: `${accessKeyId}:${session}`,
      sessionContext: { sessionIssuer: issuer },
    }
  }
  return { type: 'IAMUser', ...common, userName: rest.at(-1) ?? path }
}

const NAMES = ['HsmId', 'BackupId', 'SourceBackupId', 'ResourceId', 'ResourceArn', 'ClusterId'] as const
const ID = /(?:^|\/)((?:cluster|hsm|backup)-[2-7a-zA-Z]{11,16})$/

/** Ids that a request names, itself or in a filter by id. */
function idsIn(request: object | undefined): string[] {
  if (!request) return []
  const named: unknown[] = NAMES.map((name): unknown => Reflect.get(request, name))
  const filters: unknown = Reflect.get(request, 'Filters')
  if (typeof filters === 'object' && filters !== null) {
    for (const name of ['clusterIds', 'backupIds']) named.push(...listOf(Reflect.get(filters, name)))
  }
  return named.flatMap((value) => (typeof value === 'string' ? (ID.exec(value.slice(0, 256))?.[1] ?? []) : []))
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value.slice(0, 16) : [])

const TYPES: Readonly<Record<string, string>> = { cluster: 'Cluster', hsm: 'Hsm', backup: 'Backup' }

function resourceOf(id: string, region: string, account: string) {
  const kind = id.slice(0, id.indexOf('-'))
  return {
    accountId: account,
    type: `AWS::CloudHSM::${TYPES[kind] ?? 'Resource'}`,
    ARN: `arn:aws:cloudhsm:${region}:${account}:${kind}/${id}`,
  }
}

/** Request or response with members in lower camel case; null when there is none, or it is too large. */
function elements(value: object | undefined): unknown {
  if (!value) return null
  const entries = Object.keys(value)
  if (entries.length === 0) return null
  const shaped = lowerCamel(value, 0)
  return JSON.stringify(shaped).length <= MOST_ELEMENTS ? shaped : { omitted: 'too large for the trail' }
}

/** Deeper than any shape of the service. */
const MOST_DEPTH = 8

function lowerCamel(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return shortened(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MOST_DEPTH) return '…'
  if (Array.isArray(value)) return value.slice(0, 256).map((each) => lowerCamel(each, depth + 1))
  const entries = Object.entries(value).map(([name, member]: [string, unknown]) => {
    const isTime = name.endsWith('Timestamp') && typeof member === 'number'
    const lower = (name.charAt(0).toLowerCase() + name.slice(1)).slice(0, 128)
    return [lower, isTime ? localeTime(member) : lowerCamel(member, depth + 1)] as const
  })
  return Object.fromEntries(entries)
}

/** Certificates, above all: their beginning tells which. */
const shortened = (text: string) =>
  text.length <= MOST.text ? text : `${text.slice(0, MOST.text)}… (${text.length} characters)`

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `Nov 15, 2022 6:49:20 PM`: how CloudTrail writes CloudHSM's times (recorded). */
function localeTime(seconds: number): string {
  const at = new Date(seconds * 1000)
  if (Number.isNaN(at.getTime())) return String(seconds)
  const hour = at.getUTCHours()
  const clock = `${hour % 12 || 12}:${basicFormat(at.getTime()).slice(11, 13)}:${basicFormat(at.getTime()).slice(13, 15)}`
  return `${MONTHS[at.getUTCMonth()] ?? ''} ${at.getUTCDate()}, ${at.getUTCFullYear()} ${clock} ${hour < 12 ? 'AM' : 'PM'}`
}
