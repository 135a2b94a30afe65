/** Condition operators: how one value of a request is compared with one value of a policy (IAM user guide, "Condition operators"). */
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { arnPatternOf, matchesArn } from './arn.ts'
import { matches, patternOf, type PatternOptions, type Variables } from './wildcard.ts'

/** A value of a policy, read: says whether a value of the request is meant by it. */
export type Comparison = (value: string, variables: Variables) => boolean

export interface Operator {
  /** Reads the policy's value. Throws a SyntaxError that says what is wrong with it. */
  readonly read: (text: string, options: PatternOptions) => Comparison
  /** `…NotEquals` and its like: holds when no value of the policy is meant, and when the request lacks the key. */
  readonly negated: boolean
}

const literal: Operator['read'] = (text, options) => {
  const pattern = patternOf(text, { ...options, literal: true })
  return (value, variables) => matches(pattern, value, variables)
}
const ignoringCase: Operator['read'] = (text, options) => {
  const pattern = patternOf(text.toLowerCase(), { ...options, literal: true })
  return (value, variables) => matches(pattern, value.toLowerCase(), (key) => variables(key)?.toLowerCase())
}
const like: Operator['read'] = (text, options) => {
  const pattern = patternOf(text, options)
  return (value, variables) => matches(pattern, value, variables)
}
const arnLike: Operator['read'] = (text, options) => {
  const pattern = arnPatternOf(text, options)
  return (value, variables) => matchesArn(pattern, value, variables)
}

const address: Operator['read'] = (text) => {
  const [base = '', length, ...rest] = text.split('/')
  const family = isIPv4(base) ? 'ipv4' : isIPv6(base) ? 'ipv6' : undefined
  const most = family === 'ipv4' ? 32 : 128
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (family === undefined || rest.length > 0 || !(bits <= most)) {
    throw new SyntaxError(`'${text.slice(0, 64)}' is neither an IP address nor a range of them, e.g. 203.0.113.0/24`)
  }
  const range = new BlockList()
  range.addSubnet(base, bits, family)
  return (value) => {
    // A socket that takes both families shows IPv4 peers so.
    const plain = value.startsWith('::ffff:') && isIPv4(value.slice(7)) ? value.slice(7) : value
    return isIPv4(plain) ? range.check(plain, 'ipv4') : isIPv6(plain) && range.check(plain, 'ipv6')
  }
}

const truth: Operator['read'] = (text) => {
  const wanted = text.toLowerCase()
  if (wanted !== 'true' && wanted !== 'false') throw new SyntaxError(`'${text.slice(0, 64)}' is neither true nor false`)
  return (value) => value.toLowerCase() === wanted
}

const ordered =
  (read: (text: string) => number, what: string, holds: (value: number, bound: number) => boolean): Operator['read'] =>
  (text) => {
    const bound = read(text)
    if (Number.isNaN(bound)) throw new SyntaxError(`'${text.slice(0, 64)}' is not ${what}`)
    return (value) => {
      const number = read(value)
      return !Number.isNaN(number) && holds(number, bound)
    }
  }

const numberOf = (text: string) => (/^[+-]?\d{1,30}(\.\d{1,30})?$/.test(text) ? Number(text) : Number.NaN)
/** ISO 8601, or seconds since 1970; as seconds. */
const instantOf = (text: string) =>
  /^\d{1,12}$/.test(text) ? Number(text) : /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) / 1000 : Number.NaN

const COMPARISONS = {
  Equals: (value: number, bound: number) => value === bound,
  LessThan: (value: number, bound: number) => value < bound,
  LessThanEquals: (value: number, bound: number) => value <= bound,
  GreaterThan: (value: number, bound: number) => value > bound,
  GreaterThanEquals: (value: number, bound: number) => value >= bound,
} as const

const is = (read: Operator['read']): Operator => ({ read, negated: false })
const isNot = (read: Operator['read']): Operator => ({ read, negated: true })

function ofOrder(prefix: string, read: (text: string) => number, what: string): [string, Operator][] {
  return [
    ...Object.entries(COMPARISONS).map(([name, holds]): [string, Operator] => [
      `${prefix}${name}`,
      is(ordered(read, what, holds)),
    ]),
    [`${prefix}NotEquals`, isNot(ordered(read, what, COMPARISONS.Equals))],
  ]
}

/** All but Null, which looks at the presence of a key, not at its value. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  ['StringEquals', is(literal)],
  ['StringNotEquals', isNot(literal)],
  ['StringEqualsIgnoreCase', is(ignoringCase)],
  ['StringNotEqualsIgnoreCase', isNot(ignoringCase)],
  ['StringLike', is(like)],
  ['StringNotLike', isNot(like)],
  ['ArnEquals', is(arnLike)],
  ['ArnLike', is(arnLike)],
  ['ArnNotEquals', isNot(arnLike)],
  ['ArnNotLike', isNot(arnLike)],
  ['IpAddress', is(address)],
  ['NotIpAddress', isNot(address)],
  ['Bool', is(truth)],
  ...ofOrder('Numeric', numberOf, 'a number'),
  ...ofOrder('Date', instantOf, 'a date, e.g. 2026-01-31T00:00:00Z'),
])
