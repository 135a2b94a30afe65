/** Choosing keys on the command line: `key-reference=0x…` or `attr.NAME=VALUE` (data-plane §2.1). */
import { z } from 'zod'
import { BOOLEAN_ATTRIBUTES, type KeyFilter, type KeyInfo } from '../../workers/hsm/protocol/attributes.ts'
import type { Client } from '../sdk/client.ts'
import { CliError } from './cli-error.ts'
import { KEY_ATTRIBUTE_NAMES } from './present.ts'

const NUMERIC = new Set(['key-length-bytes', 'modulus-size-bits'])
const BOOLEAN: ReadonlySet<string> = new Set(BOOLEAN_ATTRIBUTES)
const MAX_HANDLE = 2n ** 64n - 1n

/** Flags and their values, all of which must hold. Throws CliError that shows what can be written. */
export function parseFilter(words: readonly string[]): KeyFilter {
  let handle: string | undefined
  const attributes: Record<string, string | boolean | number> = {}
  const named = new Set<string>()
  for (const word of words) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(word) ?? []
    if (name === undefined || value === undefined) throw malformed(word)
    // All must hold, and no key has two values of one attribute: one of them is a mistake, and which is not ours to say.
    if (named.has(name)) throw new CliError(`A filter names ${name} twice`)
    named.add(name)
    if (name === 'key-reference') handle = parseHandle(value)
    else if (name.startsWith('attr.')) attributes[name.slice(5)] = parseValue(name.slice(5), value)
    else throw malformed(word)
  }
  if (handle !== undefined && Object.keys(attributes).length > 0) {
    throw new CliError('A filter takes either key-reference or attributes, not both')
  }
  return { ...(handle !== undefined && { handle }), attributes }
}

function malformed(word: string): CliError {
  return new CliError(
    `Invalid filter "${word}": write key-reference=0x… or attr.NAME=VALUE, for example attr.label=my-key`,
  )
}

/** A reference may be written in hexadecimal or in decimal. */
export function parseHandle(text: string): string {
  if (!/^(0x[0-9a-fA-F]{1,16}|[0-9]{1,20})$/.test(text) || BigInt(text) > MAX_HANDLE) {
    throw new CliError(`Invalid key reference "${text}": it is a 64-bit number, as 0x… or decimal`)
  }
  return `0x${BigInt(text).toString(16).padStart(16, '0')}`
}

function parseValue(name: string, value: string): string | boolean | number {
  if (!KEY_ATTRIBUTE_NAMES.includes(name)) {
    throw new CliError(`Unknown attribute "${name}" in a filter. There are: ${KEY_ATTRIBUTE_NAMES.join(', ')}`)
  }
  if (BOOLEAN.has(name)) {
    if (value !== 'true' && value !== 'false') throw new CliError(`attr.${name} is true or false, not "${value}"`)
    return value === 'true'
  }
  if (NUMERIC.has(name)) {
    if (!/^[0-9]{1,9}$/.test(value)) throw new CliError(`attr.${name} is a number, not "${value}"`)
    return Number(value)
  }
  return value
}

/** The value of a `--filter` flag that may be left out, or is given once or several times. */
export const filterFlag = z.array(z.string()).default([]).transform(parseFilter)
/** As `filterFlag`, of a flag that must be there. */
export const requiredFilterFlag = z.array(z.string()).min(1).transform(parseFilter)

/** The one key that matches. Throws CliError in AWS's words when none or several do. */
export async function selectKey(client: Client, filter: KeyFilter): Promise<KeyInfo> {
  const { keys, total } = await client.keys.find(filter, { limit: 1 })
  const [key] = keys
  if (!key || total !== 1) {
    throw new CliError(
      `Key selection criteria matched ${total} keys. Refine selection criteria to select a single key.`,
    )
  }
  return key
}
