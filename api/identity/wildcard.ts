/**
 * Patterns of a policy: `*` stands for any characters, `?` for one, `${key}` for a value of the request.
 *
 * Matching takes at most length × length steps whatever the pattern: there is no regular expression that could run away.
 */

/** What a policy variable stands for; undefined when the request has no such key. Keys are in lower case. */
export type Variables = (key: string) => string | undefined

type Part = string | typeof ANY | typeof ONE | Variable
interface Variable {
  readonly key: string
  readonly fallback: string | undefined
}

const ANY = Symbol('*')
const ONE = Symbol('?')

export interface Pattern {
  readonly text: string
  /** Characters, wildcards and variables in order. */
  readonly parts: readonly Part[]
  readonly hasVariables: boolean
}

export interface PatternOptions {
  /** `*` and `?` stand for themselves. */
  readonly literal?: boolean
  /** `${…}` is a variable; only policies of version 2012-10-17 have them. */
  readonly variables?: boolean
}

/** Reads a pattern. Throws a SyntaxError with a text for the author of the policy. */
export function patternOf(text: string, { literal = false, variables = false }: PatternOptions = {}): Pattern {
  const parts: Part[] = []
  let hasVariables = false
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at)
    if (variables && character === '$' && text.charAt(at + 1) === '{') {
      const end = text.indexOf('}', at)
      if (end < 0) throw new SyntaxError(`the policy variable in '${text.slice(0, 128)}' has no end`)
      const part = variableOf(text.slice(at + 2, end))
      if (typeof part !== 'string') hasVariables = true
      parts.push(part)
      at = end
    } else if (!literal && character === '*') {
      if (parts.at(-1) !== ANY) parts.push(ANY)
    } else {
      parts.push(!literal && character === '?' ? ONE : character)
    }
  }
  return { text, parts, hasVariables }
}

/** `${*}`, `${?}` and `${$}` are the characters themselves; `${key, 'default'}` has a value in any case. */
function variableOf(inside: string): string | Variable {
  if (inside === '*' || inside === '?' || inside === '$') return inside
  const found = /^\s*([A-Za-z0-9:/_.=+@-]{1,256})\s*(?:,\s*'([^']*)'\s*)?$/.exec(inside)
  if (!found) throw new SyntaxError(`'\${${inside.slice(0, 128)}}' is not a policy variable`)
  return { key: (found[1] ?? '').toLowerCase(), fallback: found[2] }
}

/** False when the pattern names a variable that has no value: such an element matches nothing. */
export function matches(pattern: Pattern, text: string, variables: Variables): boolean {
  const parts = pattern.hasVariables ? withValues(pattern.parts, variables) : pattern.parts
  return parts !== undefined && isMatch(parts, text)
}

/** The characters of the value take the variable's place; a `*` among them is no wildcard. */
function withValues(parts: readonly Part[], variables: Variables): Part[] | undefined {
  const resolved: Part[] = []
  for (const part of parts) {
    if (typeof part !== 'object') resolved.push(part)
    else {
      const value = variables(part.key) ?? part.fallback
      if (value === undefined) return undefined
      for (let at = 0; at < value.length; at++) resolved.push(value.charAt(at))
    }
  }
  return resolved
}

/** Only the last `*` is ever gone back to, which is enough and keeps the work bounded. */
function isMatch(parts: readonly Part[], text: string): boolean {
  let part = 0
  let at = 0
  let star = -1
  let taken = 0
  while (at < text.length) {
    const wanted = parts[part]
    if (wanted === ANY) {
      star = part++
      taken = at
    } else if (wanted !== undefined && (wanted === ONE || wanted === text.charAt(at))) {
      part++
      at++
    } else if (star >= 0) {
      part = star + 1
      at = ++taken
    } else {
      return false
    }
  }
  while (parts[part] === ANY) part++
  return part === parts.length
}
