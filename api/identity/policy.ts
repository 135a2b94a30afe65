/**
 * Policy documents, read: IAM's JSON grammar, with what cannot be meant refused when a policy is stored and not found out
 * when somebody is refused (IAM user guide, "Grammar of the IAM JSON policy language").
 */
import { arnPatternOf, type ArnPattern } from './arn.ts'
import { conditionsOf, type Condition } from './conditions.ts'
import { principalsOf, type Principals } from './principals.ts'
import { patternOf, type Pattern } from './wildcard.ts'

/** What is listed, or everything but that. */
export interface Listed<Item> {
  readonly items: readonly Item[]
  readonly except: boolean
}

export interface Statement {
  readonly effect: 'Allow' | 'Deny'
  /** Of a policy of a resource or role; undefined in one of an identity. */
  readonly principals: Principals | undefined
  /** In lower case: actions do not tell cases apart. */
  readonly actions: Listed<Pattern>
  /** Undefined in a trust policy: its role is the resource. */
  readonly resources: Listed<ArnPattern> | undefined
  readonly conditions: readonly Condition[]
}

export interface Policy {
  readonly statements: readonly Statement[]
  /** Whether a condition looks at a key of this kind. */
  readonly usesKey: (isOne: (key: string) => boolean) => boolean
}

/**
 * `identity`: of a user, role or session, without Principal. `resource`: of a backup, with Principal. `trust`: who may
 * take a role, with Principal and without Resource.
 */
export type PolicyKind = 'identity' | 'resource' | 'trust'

/** Characters that are not white space, as AWS counts; of a customer's managed policy, the most it allows. */
export const MOST_CHARACTERS = { identity: 6_144, resource: 20_000, trust: 4_096 } as const satisfies Record<
  PolicyKind,
  number
>

/** A document that is no policy. The text is for its author and names the element at fault. */
export class MalformedPolicy extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'MalformedPolicy'
  }
}

/** Reads a document. Throws MalformedPolicy. */
export function parsePolicy(document: string, kind: PolicyKind): Policy {
  const most = MOST_CHARACTERS[kind]
  // What is only padding may be as long again, no longer.
  if (document.length > 2 * most || document.replaceAll(/\s+/g, '').length > most) {
    throw new MalformedPolicy(`The policy is longer than ${most} characters.`)
  }
  const parsed = jsonOf(document)
  try {
    return policyOf(parsed, kind)
  } catch (error) {
    if (error instanceof SyntaxError) throw new MalformedPolicy(`The policy is malformed: ${error.message}.`)
    throw error
  }
}

function jsonOf(document: string): unknown {
  try {
    return JSON.parse(document)
  } catch {
    // The parser's message repeats the document.
    throw new MalformedPolicy('The policy is not valid JSON.')
  }
}

const VERSIONS = ['2012-10-17', '2008-10-17']

function policyOf(parsed: unknown, kind: PolicyKind): Policy {
  const policy = objectOf(parsed, 'the policy', ['Version', 'Id', 'Statement'])
  const { Version: version = '2008-10-17', Id: id = '', Statement: list } = policy
  if (typeof version !== 'string' || !VERSIONS.includes(version)) {
    throw new SyntaxError(`Version must be one of ${VERSIONS.join(', ')}`)
  }
  if (typeof id !== 'string') throw new SyntaxError('Id must be a text')
  const statements: unknown[] = Array.isArray(list) ? list : [list]
  if (list === undefined || statements.length === 0) throw new SyntaxError('a policy needs at least one Statement')
  const variables = version === '2012-10-17'
  return policyWith(statements.map((each, at) => statementOf(each, at, kind, variables)))
}

function policyWith(statements: readonly Statement[]): Policy {
  const keys = statements.flatMap(({ conditions }) => conditions.map(({ key }) => key))
  return { statements, usesKey: (isOne) => keys.some(isOne) }
}

/** A policy that says nothing, and so allows nothing. */
export const SILENT: Policy = policyWith([])

const ELEMENTS = [
  ...['Sid', 'Effect', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'],
  ...['Principal', 'NotPrincipal'],
]

function statementOf(parsed: unknown, at: number, kind: PolicyKind, variables: boolean): Statement {
  const where = `statement ${at + 1}`
  const statement = objectOf(parsed, where, ELEMENTS)
  const { Sid: sid = '', Effect: effect, Condition: condition } = statement
  if (typeof sid !== 'string') throw new SyntaxError(`Sid of ${where} must be a text`)
  if (effect !== 'Allow' && effect !== 'Deny') throw new SyntaxError(`Effect of ${where} must be Allow or Deny`)
  return {
    effect,
    principals: whom(statement, where, kind),
    actions: listed(statement, 'Action', where, actionOf),
    resources: which(statement, where, kind, variables),
    conditions: condition === undefined ? [] : conditionsOf(condition, { variables }),
  }
}

function whom(statement: Element, where: string, kind: PolicyKind): Principals | undefined {
  if (statement['NotPrincipal'] !== undefined) {
    throw new SyntaxError(`NotPrincipal in ${where} is not supported: use Principal and conditions`)
  }
  if (kind === 'identity') {
    if (statement['Principal'] === undefined) return undefined
    throw new SyntaxError(`Principal in ${where} belongs into policies of resources and roles`)
  }
  if (statement['Principal'] === undefined) throw new SyntaxError(`${where} has no Principal`)
  return principalsOf(statement['Principal'])
}

function which(statement: Element, where: string, kind: PolicyKind, variables: boolean) {
  if (kind !== 'trust') return listed(statement, 'Resource', where, (text) => arnPatternOf(text, { variables }))
  if (statement['Resource'] === undefined && statement['NotResource'] === undefined) return undefined
  throw new SyntaxError(`Resource in ${where} has no place in a trust policy: the role is the resource`)
}

/** An action's name cannot hold a variable. */
function actionOf(text: string): Pattern {
  if (!/^(?:\*|[a-zA-Z0-9-]{1,64}:[a-zA-Z0-9*?]{1,128})$/.test(text)) {
    throw new SyntaxError(`'${text.slice(0, 128)}' is neither * nor an action, e.g. cloudhsm:DescribeClusters`)
  }
  return patternOf(text.toLowerCase())
}

/** `Name` or `NotName`, one text or several. */
function listed<Item>(statement: Element, name: string, where: string, read: (text: string) => Item): Listed<Item> {
  const [plain, negated] = [statement[name], statement[`Not${name}`]]
  if ((plain === undefined) === (negated === undefined)) {
    throw new SyntaxError(`${where} needs either ${name} or Not${name}`)
  }
  const element = plain ?? negated
  const texts: unknown[] = Array.isArray(element) ? element : [element]
  if (texts.length === 0) throw new SyntaxError(`${name} of ${where} is empty`)
  const items = texts.map((text) => {
    if (typeof text !== 'string') throw new SyntaxError(`${name} of ${where} must be a text or a list of texts`)
    return read(text)
  })
  return { items, except: plain === undefined }
}

type Element = Readonly<Record<string, unknown>>

function objectOf(value: unknown, where: string, members: readonly string[]): Element {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SyntaxError(`${where} must be an object`)
  }
  const unknown = Object.keys(value).find((key) => !members.includes(key))
  if (unknown !== undefined) throw new SyntaxError(`${where} has an unknown element '${unknown.slice(0, 64)}'`)
  return value as Element
}
