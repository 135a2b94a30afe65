/**
 * The Condition element: operators, keys and values (IAM user guide, "IAM JSON policy elements: Condition").
 *
 * All operators must hold and all keys of each; of several values of a key one is enough, and of a negated operator none
 * may be meant.
 */
import { exactKey, valueOf, type RequestContext } from './context.ts'
import { OPERATORS, type Comparison } from './operators.ts'
import type { PatternOptions } from './wildcard.ts'

type Quantifier = 'ForAllValues' | 'ForAnyValue' | undefined

interface Comparing {
  readonly kind: 'compare'
  /** In lower case. */
  readonly key: string
  /** With a tag's key as it is written. */
  readonly exact: string
  readonly quantifier: Quantifier
  readonly ifExists: boolean
  readonly negated: boolean
  readonly values: readonly Comparison[]
}
interface Presence {
  readonly kind: 'null'
  readonly key: string
  readonly exact: string
  readonly absent: boolean
}
export type Condition = Comparing | Presence

/** Reads a Condition element. Throws a SyntaxError with a text for the author of the policy. */
export function conditionsOf(element: unknown, options: PatternOptions): Condition[] {
  if (!isObject(element)) throw new SyntaxError('Condition must be an object of operators')
  return Object.entries(element).flatMap(([name, keys]) => {
    if (!isObject(keys)) throw new SyntaxError(`the condition ${name.slice(0, 64)} must be an object of keys`)
    return Object.entries(keys).map(([key, values]) => conditionOf(name, key, values, options))
  })
}

function conditionOf(name: string, key: string, element: unknown, options: PatternOptions): Condition {
  if (!/^[A-Za-z0-9-]{1,64}:.{1,256}$/s.test(key)) {
    throw new SyntaxError(`'${key.slice(0, 64)}' is not a condition key, e.g. aws:SourceIp`)
  }
  const texts = textsOf(element, key)
  const [, quantifier, base = '', ifExists] =
    /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]{1,40}?)(IfExists)?$/.exec(name) ?? []
  if (base === 'Null' && quantifier === undefined && ifExists === undefined) {
    const [text = ''] = texts
    if (texts.length !== 1 || !/^(true|false)$/i.test(text)) throw new SyntaxError('Null takes true or false')
    return { kind: 'null', key: key.toLowerCase(), exact: exactKey(key), absent: text.toLowerCase() === 'true' }
  }
  const operator = OPERATORS.get(base)
  if (!operator) throw new SyntaxError(`there is no condition operator '${name.slice(0, 64)}'`)
  return {
    kind: 'compare',
    key: key.toLowerCase(),
    exact: exactKey(key),
    quantifier: quantifier === 'ForAllValues' || quantifier === 'ForAnyValue' ? quantifier : undefined,
    ifExists: ifExists !== undefined,
    negated: operator.negated,
    values: texts.map((text) => operator.read(text, options)),
  }
}

/** JSON's numbers and truth values stand for their texts. */
function textsOf(element: unknown, key: string): string[] {
  const values: unknown[] = Array.isArray(element) ? element : [element]
  if (values.length === 0) throw new SyntaxError(`the condition key ${key.slice(0, 64)} has no value`)
  return values.map((value) => {
    if (typeof value === 'string') return value
    if (typeof value === 'number' || typeof value === 'boolean') return String(value)
    throw new SyntaxError(`a value of the condition key ${key.slice(0, 64)} is not a text`)
  })
}

export function holds(condition: Condition, context: RequestContext): boolean {
  const present = context.get(condition.exact) ?? context.get(condition.key)
  if (condition.kind === 'null') return condition.absent === (present === undefined)
  const { quantifier, negated } = condition
  if (present === undefined || present.length === 0) {
    if (condition.ifExists || quantifier === 'ForAllValues') return true
    return quantifier === undefined && negated
  }
  const variables = (key: string) => valueOf(context, key)
  const isMeant = (value: string) => condition.values.some((each) => each(value, variables))
  const fits = (value: string) => isMeant(value) !== negated
  if (quantifier === 'ForAllValues') return present.every(fits)
  if (quantifier === 'ForAnyValue') return present.some(fits)
  // A key of several values without a quantifier: one must be meant, or none at all.
  return negated ? present.every(fits) : present.some(fits)
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
