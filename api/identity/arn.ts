/** ARNs in policies: six parts behind colons, each a pattern of its own. */
import { matches, patternOf, type Pattern, type PatternOptions, type Variables } from './wildcard.ts'

/** `everything` is the pattern `*`. */
export type ArnPattern = 'everything' | readonly Pattern[]

const PARTS = 6

/**
 * Reads a pattern of ARNs. Parts that are left out stand for anything, as at AWS: `arn:aws:cloudhsm` is all of CloudHSM.
 * Throws a SyntaxError.
 */
export function arnPatternOf(text: string, options: PatternOptions): ArnPattern {
  if (text === '*') return 'everything'
  const parts = splitArn(text)
  if (parts.length > 1 && parts[0] !== 'arn') throw notAnArn(text)
  if (parts.length < 3) throw notAnArn(text)
  while (parts.length < PARTS) parts.push('*')
  return parts.map((part) => patternOf(part, options))
}

const notAnArn = (text: string) => new SyntaxError(`'${text.slice(0, 128)}' is neither * nor an ARN`)

export function matchesArn(pattern: ArnPattern, arn: string, variables: Variables): boolean {
  if (pattern === 'everything') return true
  const parts = splitArn(arn)
  return parts.length === PARTS && pattern.every((each, at) => matches(each, parts[at] ?? '', variables))
}

/** At the first five colons that do not stand inside a policy variable; what follows is one part. */
function splitArn(text: string): string[] {
  const parts: string[] = []
  let from = 0
  let depth = 0
  for (let at = 0; at < text.length && parts.length < PARTS - 1; at++) {
    const character = text.charAt(at)
    if (character === '$' && text.charAt(at + 1) === '{') depth = 1
    else if (character === '}') depth = 0
    else if (character === ':' && depth === 0) {
      parts.push(text.slice(from, at))
      from = at + 1
    }
  }
  return [...parts, text.slice(from)]
}
