/**
 * From a request's JSON to an operation's input.
 *
 * Two kinds of refusal, as in AWS: a value of the wrong JSON type is a SerializationException; one that its constraint
 * does not allow a CloudHsmInvalidRequestException whose text names every breach.
 */
import type { z } from 'zod'
import { invalidRequest, ServiceError } from '../../provider-schema/errors.ts'

type Issue = z.core.$ZodIssue

/** Breaches that are spelt out; a request can have as many as its size allows. */
const MOST_SPELT_OUT = 10
/** Characters of a refused value that are repeated to the caller. */
const MOST_REPEATED = 128

/** Gives the input as the shape has it; members that the shape does not name are left out. */
export function validate<Shape extends z.ZodType>(shape: Shape, request: unknown): z.output<Shape> {
  return wellTyped(shape, request)()
}

/**
 * The first half: throws a SerializationException for a value of the wrong JSON type. The function that it gives is the
 * second: it gives the input, or throws what the constraints refuse. IAM is asked between the two (reference §1.4).
 */
export function wellTyped<Shape extends z.ZodType>(shape: Shape, request: unknown): () => z.output<Shape> {
  const result = shape.safeParse(request)
  if (result.success) return () => result.data
  const { issues } = result.error
  for (const issue of issues) {
    const wanted = wrongType(issue, valueAt(request, issue.path))
    if (wanted) throw new ServiceError('SerializationException', `'${nameOf(issue.path)}' must be ${wanted}.`)
  }
  return () => {
    const shown = issues.slice(0, MOST_SPELT_OUT).map((issue) => describe(issue, request))
    const count = `${issues.length} validation error${issues.length === 1 ? '' : 's'} detected: `
    throw invalidRequest(count + shown.join('; '))
  }
}

/** What should have been there, when a value of another JSON type was; a missing value is not of a wrong type. */
function wrongType(issue: Issue, value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined
  if (issue.code === 'invalid_type') return JSON_TYPES[issue.expected] ?? issue.expected
  if (issue.code === 'invalid_value' && typeof value !== 'string') return 'a string'
  return undefined
}

const JSON_TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object of lists',
}

function describe(issue: Issue, request: unknown): string {
  const { path } = issue
  const list = path.at(-1)
  // Of an element of a list of plain strings AWS shows the list.
  if (typeof list === 'number' && typeof valueAt(request, path) !== 'object') {
    const all = path.slice(0, -1)
    return `Value '${shown(valueAt(request, all))}' at '${nameOf(all)}' failed to satisfy constraint: Member must satisfy constraint: [${constraint(issue)}]`
  }
  if (issue.code === 'invalid_key') {
    const all = path.slice(0, -1)
    const inner = issue.issues.map(constraint).join(', ')
    return `Value at '${nameOf(all)}' failed to satisfy constraint: Map keys must satisfy constraint: [${inner}]`
  }
  const value = valueAt(request, path)
  if (value === null || value === undefined) {
    return `Value null at '${nameOf(path)}' failed to satisfy constraint: Member must not be null`
  }
  return `Value '${shown(value)}' at '${nameOf(path)}' failed to satisfy constraint: ${constraint(issue)}`
}

/** A constraint in AWS's words. */
function constraint(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_format':
      return `Member must satisfy regular expression pattern: ${patternOf(issue)}`
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `Member must have value greater than or equal to ${String(issue.minimum)}`
        : `Member must have length greater than or equal to ${String(issue.minimum)}`
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `Member must have value less than or equal to ${String(issue.maximum)}`
        : `Member must have length less than or equal to ${String(issue.maximum)}`
    case 'invalid_value':
      return `Member must satisfy enum value set: [${issue.values.map(String).join(', ')}]`
    case 'invalid_type':
      return 'Member must not be null'
    default:
      return 'Member must be valid'
  }
}

/** The pattern as the model has it: without slashes, flags and anchors. */
function patternOf(issue: Extract<Issue, { code: 'invalid_format' }>): string {
  const { pattern = '' } = issue
  return pattern
    .replace(/^\/\^?/, '')
    .replace(/\$?\/[a-z]*$/, '')
    .replaceAll('\\/', '/')
}

/** `tagList.1.member.key`: members in lower camel case, elements counted from one. */
function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => {
      if (typeof part === 'number') return `${part + 1}.member`
      const name = String(part)
      return name.charAt(0).toLowerCase() + name.slice(1)
    })
    .join('.')
    .slice(0, 2 * MOST_REPEATED)
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return undefined
    at = Object.getOwnPropertyDescriptor(at, part)?.value
  }
  return at
}

function shown(value: unknown): string {
  const text = Array.isArray(value) ? `[${value.slice(0, MOST_REPEATED).map(plain).join(', ')}]` : plain(value)
  return text.length > MOST_REPEATED ? `${text.slice(0, MOST_REPEATED)}…` : text
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
