/**
 * AWS's evaluation logic (IAM user guide, "Policy evaluation logic"): an explicit deny anywhere refuses; else somebody
 * must allow: within an account the identity's policies or the resource's, across accounts both. A session's policy can
 * only narrow that.
 */
import { matchesArn } from './arn.ts'
import { holds } from './conditions.ts'
import { isTagKey, valueOf, type RequestContext } from './context.ts'
import type { Policy, Statement } from './policy.ts'
import { namingOf, type Asking } from './principals.ts'
import { matches } from './wildcard.ts'

export interface Question {
  /** e.g. `cloudhsm:CreateHsm`. */
  readonly action: string
  /** An ARN, or `*` for an action that names no resource. */
  readonly resource: string
  /** Whose the resource is. */
  readonly resourceAccount: string
  readonly context: RequestContext
}

export interface Grants {
  /** Policies of the user or role; `everything`: of an account's own key, which no identity policy limits. */
  readonly identity: 'everything' | readonly Policy[]
  /** What a temporary session was narrowed to. */
  readonly session: Policy | undefined
}

export type PolicyType = 'identity-based' | 'resource-based' | 'session'

export type Decision =
  | { readonly allowed: true }
  | {
      readonly allowed: false
      /** A statement says Deny; else nobody says Allow. */
      readonly explicit: boolean
      /** What kind of policy denies, or lacks an Allow. */
      readonly by: PolicyType
    }

export interface EvaluateOptions {
  /** As if every condition on the tags of the request held: tells whether they are why something is refused. */
  readonly ignoreTagConditions?: boolean
  /** The resource's policy must allow in any case, as that of a role must. */
  readonly resourceDecides?: boolean
}

const ALLOWED: Decision = { allowed: true }
const refused = (by: PolicyType, explicit: boolean): Decision => ({ allowed: false, explicit, by })

/** `resourcePolicy`: that of the resource, if it has one. */
export function evaluate(
  who: Asking,
  grants: Grants,
  resourcePolicy: Policy | undefined,
  question: Question,
  { ignoreTagConditions = false, resourceDecides = false }: EvaluateOptions = {},
): Decision {
  const says = (policies: readonly Policy[], effect: Statement['effect']) =>
    policies.some((policy) =>
      policy.statements.some((each) => each.effect === effect && applies(each, question, ignoreTagConditions)),
    )
  const { identity, session } = grants
  const ofIdentity = identity === 'everything' ? [] : identity
  const ofSession = session ? [session] : []
  const named = namedStatements(resourcePolicy, who, question, ignoreTagConditions)

  if (says(ofIdentity, 'Deny')) return refused('identity-based', true)
  if (named.some(({ effect }) => effect === 'Deny')) return refused('resource-based', true)
  if (says(ofSession, 'Deny')) return refused('session', true)

  const byIdentity = identity === 'everything' || says(identity, 'Allow')
  const allowing = named.filter(({ effect }) => effect === 'Allow')
  if (resourceDecides && allowing.length === 0) return refused('resource-based', false)
  if (question.resourceAccount === who.account) {
    // A policy that names the account leaves it to the account, and so to its identity policies.
    const byResource = allowing.some(({ naming }) => naming === 'itself')
    if (!byIdentity && !byResource) return refused('identity-based', false)
  } else {
    if (!byIdentity) return refused('identity-based', false)
    if (allowing.length === 0) return refused('resource-based', false)
  }
  if (session && !says(ofSession, 'Allow')) return refused('session', false)
  return ALLOWED
}

function namedStatements(policy: Policy | undefined, who: Asking, question: Question, ignoreTagConditions: boolean) {
  return (policy?.statements ?? []).flatMap((statement) => {
    const naming = statement.principals && namingOf(statement.principals, who)
    if (naming === undefined || !applies(statement, question, ignoreTagConditions)) return []
    return [{ effect: statement.effect, naming }]
  })
}

function applies(statement: Statement, question: Question, ignoreTagConditions: boolean): boolean {
  const { actions, resources, conditions, effect } = statement
  const { action, resource, context } = question
  const variables = (key: string) => valueOf(context, key)
  const name = action.toLowerCase()
  if (actions.items.some((each) => matches(each, name, variables)) === actions.except) return false
  if (resources && resources.items.some((each) => matchesArn(each, resource, variables)) === resources.except)
    return false
  return conditions.every((condition) => {
    // Ignored means: an Allow is not narrowed by it, and a Deny that depends on it does not come to be.
    if (ignoreTagConditions && isTagKey(condition.key)) return effect === 'Allow'
    return holds(condition, context)
  })
}
