/** Shapes of the protocol as text that a person reads, made from the zod schemas that the HSM itself checks with. */
import { z } from 'zod'
import { approval, quorumTokenInfo } from '../protocol/client/quorum.ts'
import {
  attributeChange,
  attributeTemplate,
  carriedTemplate,
  keyAttributes,
  keyFilter,
  keyInfo,
} from '../protocol/attributes.ts'
import { trustAnchor } from '../protocol/client/mtls.ts'
import { membershipDocument, signedMembership } from '../protocol/management-operations.ts'
import {
  cipherStreamMechanism,
  decryptMechanism,
  deriveMechanism,
  encryptMechanism,
  signMechanism,
  signStreamMechanism,
  unwrapMechanism,
  wrapMechanism,
} from '../protocol/mechanisms.ts'
import { member, userInfo } from '../protocol/values.ts'

/** Shapes that several operations share: they stand in the page once. */
export const NAMED_SHAPES: Readonly<Record<string, z.ZodType>> = {
  Member: member,
  UserInfo: userInfo,
  CarriedTemplate: carriedTemplate,
  AttributeTemplate: attributeTemplate,
  AttributeChange: attributeChange,
  KeyAttributes: keyAttributes,
  KeyInfo: keyInfo,
  KeyFilter: keyFilter,
  SignMechanism: signMechanism,
  SignStreamMechanism: signStreamMechanism,
  EncryptMechanism: encryptMechanism,
  DecryptMechanism: decryptMechanism,
  CipherStreamMechanism: cipherStreamMechanism,
  WrapMechanism: wrapMechanism,
  UnwrapMechanism: unwrapMechanism,
  DeriveMechanism: deriveMechanism,
  Approval: approval,
  QuorumTokenInfo: quorumTokenInfo,
  TrustAnchor: trustAnchor,
  MembershipDocument: membershipDocument,
  SignedMembership: signedMembership,
}

/** What of JSON Schema zod writes, and `binary`, which JSON does not have. */
interface Schema {
  readonly $ref?: string
  readonly description?: string
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | Schema
  readonly default?: unknown
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minBytes?: number
  readonly maxBytes?: number
}

/** The text of a named shape itself, not its name. */
export function namedShapeText(name: string): string {
  const shape = NAMED_SHAPES[name]
  if (!shape) throw new RangeError(`there is no shape ${name}`)
  return typeText(schemaOf(shape, name), '')
}

/** The text of any shape; those with a name are named. */
export function shapeText(shape: z.ZodType): string {
  return typeText(schemaOf(shape), '')
}

/** `but` is the name of the shape that is to be written out. */
function schemaOf(shape: z.ZodType, but?: string): Schema {
  const names = z.registry<{ id?: string }>()
  for (const [id, named] of Object.entries(NAMED_SHAPES)) if (id !== but) names.add(named, { id })
  const json = z.toJSONSchema(shape, {
    unrepresentable: 'any',
    io: 'input',
    metadata: names,
    override({ zodSchema, jsonSchema }) {
      // What zod cannot say in JSON stands in the schema's own metadata: see `bytes`.
      Object.assign(jsonSchema, z.globalRegistry.get(zodSchema))
    },
  })
  return json as Schema
}

function typeText(schema: Schema, indent: string): string {
  if (schema.$ref !== undefined) return schema.$ref.replace(/^#\/\$defs\//, '')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  const choices = schema.anyOf ?? schema.oneOf
  if (choices) return choices.map((choice) => typeText(choice, indent)).join(' | ')
  switch (schema.type) {
    case 'object':
      return objectText(schema, indent)
    case 'array':
      return `array of ${typeText(schema.items ?? {}, indent)}${bounds(schema.minItems, schema.maxItems, 'items')}`
    case 'string':
      return `string${bounds(schema.minLength, schema.maxLength, 'characters')}${patternText(schema.pattern)}`
    case 'binary':
      return `binary${bounds(schema.minBytes, schema.maxBytes, 'bytes')}`
    case 'integer':
    case 'number':
      return `${schema.type}${bounds(schema.minimum, schema.maximum, '')}`
    case undefined:
      return 'anything'
    default:
      return schema.type
  }
}

function objectText({ properties = {}, required = [], additionalProperties }: Schema, indent: string): string {
  const names = Object.keys(properties)
  if (names.length === 0) {
    return typeof additionalProperties === 'object'
      ? `map of string to ${typeText(additionalProperties, indent)}`
      : '{}'
  }
  const inner = `${indent}  `
  const lines = names.map((name) => {
    const value = properties[name] ?? {}
    const isOptional = !required.includes(name)
    const standard = value.default === undefined ? '' : ` = ${JSON.stringify(value.default)}`
    return `${inner}${keyText(name)}${isOptional ? '?' : ''}: ${typeText(value, inner)}${standard}${noteText(value)}`
  })
  return `{\n${lines.join('\n')}\n${indent}}`
}

const noteText = ({ description }: Schema) => (description === undefined ? '' : `  // ${description}`)
const keyText = (name: string) => (/^[a-zA-Z]+$/.test(name) ? name : `'${name}'`)
const patternText = (pattern: string | undefined) => (pattern === undefined ? '' : ` matching /${pattern}/`)

function bounds(least: number | undefined, most: number | undefined, unit: string): string {
  const low = least === undefined || least <= 0 ? undefined : least
  const high = most === undefined || most >= Number.MAX_SAFE_INTEGER ? undefined : most
  const of = unit === '' ? '' : ` ${unit}`
  if (low !== undefined && low === high) return ` (${number(low)}${of})`
  if (low !== undefined && high !== undefined) return ` (${number(low)} to ${number(high)}${of})`
  if (low !== undefined) return ` (from ${number(low)}${of})`
  if (high === undefined) return ''
  return unit === '' ? ` (${number(least ?? 0)} to ${number(high)})` : ` (up to ${number(high)}${of})`
}

export const number = (value: number) => value.toLocaleString('en-US')

/** Pairs of digits, 32 bytes a line. */
export function hexOf(bytes: Buffer): string {
  const pairs = bytes.toString('hex').match(/../g) ?? []
  const lines = []
  for (let i = 0; i < pairs.length; i += 32) lines.push(pairs.slice(i, i + 32).join(' '))
  return lines.join('\n')
}
