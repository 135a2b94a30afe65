/** Every constraint of an input shape broken once: computed from the shape, so that no constraint is forgotten. */
import { z } from 'zod'

export interface Breach {
  /** Which constraint, of which member: `TagList[0].Key too long`. */
  readonly what: string
  /** The member of the request that it is in. */
  readonly member: string
  /** A value of another JSON type is refused before IAM is asked; any other breach after. */
  readonly kind: 'type' | 'constraint'
  /** The request with it. */
  readonly applyTo: (request: Readonly<Record<string, unknown>>) => Record<string, unknown>
}

interface Value {
  readonly what: string
  readonly kind: Breach['kind']
  /** Undefined: the member is left out. */
  readonly value: unknown
}

const described = z.object({
  anyOf: z.array(z.unknown()).optional(),
  /** What may be null is of two types. */
  type: z
    .union([z.string(), z.array(z.string()).transform((types) => types.find((type) => type !== 'null'))])
    .optional(),
  required: z.array(z.string()).default([]),
  properties: z.record(z.string(), z.unknown()).default({}),
  additionalProperties: z.unknown().optional(),
  propertyNames: z.object({ pattern: z.string() }).optional(),
  items: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  pattern: z.string().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
})
type Described = z.output<typeof described>

/** `complete`: a request that is right, and has every member. */
export function breachesOf(shape: z.ZodType, complete: Readonly<Record<string, unknown>>): Breach[] {
  const schema = described.parse(z.toJSONSchema(shape, { io: 'input', unrepresentable: 'any' }))
  return Object.entries(schema.properties).flatMap(([member, of]) =>
    valuesOf(of, complete[member], schema.required.includes(member)).map(({ what, kind, value }) => ({
      what: `${member}${what}`,
      member,
      kind,
      applyTo: (request) => ({ ...request, [member]: value }),
    })),
  )
}

/** Wrong values in place of a right one. */
function valuesOf(schema: unknown, right: unknown, required: boolean): Value[] {
  let shape = described.parse(schema)
  if (shape.anyOf) shape = described.parse(shape.anyOf[0])
  const absent: Value[] = required
    ? [
        { what: ' left out', kind: 'constraint', value: undefined },
        { what: ' null', kind: 'constraint', value: null },
      ]
    : []
  const wrongType = WRONG_TYPES[shape.type ?? '']
  if (wrongType === undefined) throw new Error(`no value is of a type other than ${shape.type ?? 'none'}`)
  const types = wrongType.map((value): Value => ({ what: ` ${JSON.stringify(value)}`, kind: 'type', value }))
  return [
    ...absent,
    ...types,
    ...textsOf(shape),
    ...numbersOf(shape),
    ...listsOf(shape, right),
    ...membersOf(shape, right),
  ]
}

const WRONG_TYPES: Readonly<Record<string, readonly unknown[]>> = {
  string: [7, ['x']],
  integer: ['7', 1.5],
  boolean: ['true', 1],
  array: ['x', { x: 'x' }],
  object: ['x', ['x']],
}

function textsOf({ type, enum: values, pattern, minLength = 0, maxLength }: Described): Value[] {
  if (type !== 'string') return []
  const found: Value[] = []
  const wrong = (what: string, value: string) => found.push({ what, kind: 'constraint', value })
  if (values) wrong(' none of its values', 'NO_SUCH_VALUE')
  if (minLength > 0) wrong(' too short', 'a'.repeat(minLength - 1))
  if (maxLength !== undefined) wrong(' too long', 'a'.repeat(maxLength + 1))
  if (pattern !== undefined) {
    const expression = new RegExp(pattern, 'u')
    const against = ['#', '\n', 'no such thing', '\u0000'].filter((text) => !expression.test(text))
    if (against.length === 0) throw new Error(`nothing is against ${pattern}`)
    for (const text of against) wrong(` ${JSON.stringify(text)} against its pattern`, text)
  }
  return found
}

function numbersOf({ type, minimum, maximum }: Described): Value[] {
  if (type !== 'integer') return []
  return [
    ...(minimum === undefined ? [] : [{ what: ' too small', kind: 'constraint' as const, value: minimum - 1 }]),
    ...(maximum === undefined ? [] : [{ what: ' too large', kind: 'constraint' as const, value: maximum + 1 }]),
  ]
}

function listsOf({ type, items, minItems = 0, maxItems }: Described, right: unknown): Value[] {
  if (type !== 'array') return []
  if (!Array.isArray(right) || right.length === 0) throw new Error('the right value of a list has no element')
  const [first, ...rest] = right as readonly unknown[]
  return [
    ...(minItems > 0 ? [{ what: ' empty', kind: 'constraint' as const, value: [] }] : []),
    ...(maxItems === undefined
      ? []
      : [{ what: ' too many', kind: 'constraint' as const, value: Array.from({ length: maxItems + 1 }, () => first) }]),
    ...valuesOf(items, first, false).map(({ what, kind, value }) => ({
      what: `[0]${what}`,
      kind,
      value: [value, ...rest],
    })),
  ]
}

function membersOf(
  { type, properties, required, additionalProperties, propertyNames }: Described,
  right: unknown,
): Value[] {
  if (type !== 'object') return []
  const object = z.record(z.string(), z.unknown()).parse(right)
  const named = Object.entries(properties).flatMap(([name, of]) =>
    valuesOf(of, object[name], required.includes(name)).map(({ what, kind, value }) => ({
      what: `.${name}${what}`,
      kind,
      value: { ...object, [name]: value },
    })),
  )
  if (!propertyNames) return named
  const [key = '', element] = Object.entries(object)[0] ?? []
  const values = valuesOf(additionalProperties, element, false)
  return [
    { what: ' with a name against its pattern', kind: 'constraint', value: { '#': element } },
    ...values.map(({ what, kind, value }) => ({ what: `.${key}${what}`, kind, value: { [key]: value } })),
  ]
}
