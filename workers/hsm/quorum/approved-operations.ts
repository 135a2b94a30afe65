/** Which operations need approvals of which service (data-plane reference §5). What is not here needs none. */
import type { Caller } from '../policy/roles.ts'
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { ParsedParamsOf } from '../protocol/envelope.ts'
import type { AdminService, KeyService } from '../protocol/quorum.ts'
import type { Need } from './quorum.ts'

type Params<Op extends keyof ClientOperations> = ParsedParamsOf<ClientOperations, Op>

type ApprovalRule<Op extends keyof ClientOperations> =
  | { readonly service: AdminService; readonly unless?: (params: Params<Op>, caller: Caller) => boolean }
  /** `keys`: the handles of those whose quorum values count; each that has one needs a token of its own. */
  | { readonly service: KeyService; readonly keys: (params: Params<Op>) => readonly string[] }

/** One's own password and key are one's own affair: a crypto user could not even ask for approvals. */
const own = ({ username, role }: Caller, caller: Caller) => username === caller.username && role === caller.role

const APPROVED_OPERATIONS: { readonly [Op in keyof ClientOperations]?: ApprovalRule<Op> } = {
  'user-create': { service: 'user' },
  'user-delete': { service: 'user' },
  'user-change-password': { service: 'user', unless: own },
  'user-change-mfa': { service: 'user', unless: own },
  'quorum-set-value': { service: 'quorum' },
  'mtls-register-trust-anchor': { service: 'cluster' },
  'mtls-deregister-trust-anchor': { service: 'cluster' },
  'mtls-set-enforcement': { service: 'cluster' },
  'key-set-attribute': { service: 'key-management', keys: ({ handle }) => [handle] },
  'key-share': { service: 'key-management', keys: ({ handle }) => [handle] },
  'key-unshare': { service: 'key-management', keys: ({ handle }) => [handle] },
  'key-wrap': { service: 'key-management', keys: ({ handle, wrappingHandle }) => [handle, wrappingHandle] },
  'key-decapsulate': { service: 'key-management', keys: ({ handle }) => [handle] },
  'key-unwrap': { service: 'key-management', keys: ({ handle }) => [handle] },
  // Not AWS's: what must not be wrapped without approval must not be read without it, and an RSA key applied to bytes as they
  // are signs, whatever that is called.
  'key-value': { service: 'key-management', keys: ({ handle }) => [handle] },
  decrypt: { service: 'key-usage', keys: ({ handle, mechanism }) => (mechanism.name === 'rsa-x509' ? [handle] : []) },
  sign: { service: 'key-usage', keys: ({ handle }) => [handle] },
  'part-begin': { service: 'key-usage', keys: (params) => (params.use === 'sign' ? [params.handle] : []) },
}

export type Needs = (params: unknown, caller: Caller) => readonly Need[]

/** The service whose approvals the operation may need; undefined for one that never needs any. */
export const approvingService = (op: keyof ClientOperations): AdminService | KeyService | undefined =>
  APPROVED_OPERATIONS[op]?.service

/** What each request of the operation needs approvals of; undefined for an operation that never needs one. */
export function needsOf(op: keyof ClientOperations): Needs | undefined {
  // Parameters were parsed by the schema of this very operation before they come here.
  const rule = APPROVED_OPERATIONS[op] as ApprovalRule<never> | undefined
  return rule && ((params, caller) => needsBy(rule, params as never, caller))
}

function needsBy(rule: ApprovalRule<never>, params: never, caller: Caller): Need[] {
  if (!('keys' in rule)) return rule.unless?.(params, caller) ? [] : [{ service: rule.service }]
  const { service } = rule
  const handles = rule.keys(params)
  return (handles.length > 1 ? [...new Set(handles)] : handles).map((handle) => ({ service, handle }))
}
