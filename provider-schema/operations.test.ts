import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { z } from 'zod'
import { OPERATIONS } from './operations.ts'

test('every operation stands under its own name, and there are eighteen', () => {
  assert.equal(Object.keys(OPERATIONS).length, 18)
  for (const [name, operation] of Object.entries(OPERATIONS)) assert.equal(operation.name, name)
})

/** A shape of the service model, as far as it is compared. */
const modelShape = z.object({
  type: z.string(),
  required: z.array(z.string()).default([]),
  members: z.record(z.string(), z.object({ shape: z.string() })).default({}),
  member: z.object({ shape: z.string() }).optional(),
  enum: z.array(z.string()).optional(),
  pattern: z.string().optional(),
  min: z.number().optional(),
  max: z.number().optional(),
})
const modelOf = z.object({
  operations: z.record(
    z.string(),
    z.object({ input: z.object({ shape: z.string() }), errors: z.array(z.object({ shape: z.string() })) }),
  ),
  shapes: z.record(z.string(), modelShape),
})

/** The service model that botocore carries, where Python has botocore. */
const SCRIPT =
  'import botocore.loaders,json;print(json.dumps(botocore.loaders.Loader().load_service_model("cloudhsmv2","service-2")))'
const model = await promisify(execFile)('python3', ['-c', SCRIPT], { maxBuffer: 16 * 1024 * 1024 }).then(
  ({ stdout }) => modelOf.parse(JSON.parse(stdout)),
  () => undefined,
)
const skip = model ? false : 'botocore, which carries the service model, is not installed'

/** Our side, as JSON schema. */
const described = z.object({
  anyOf: z.array(z.unknown()).optional(),
  required: z.array(z.string()).default([]),
  properties: z.record(z.string(), z.unknown()).default({}),
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

/** A pattern matches the whole value, anchored or not; JavaScript's source escapes slashes. */
const bare = (pattern: string | undefined) => pattern?.replace(/^\^/, '').replace(/\$$/, '').replaceAll('\\/', '/')

function compare(at: string, name: string, schema: unknown, shapes: z.output<typeof modelOf>['shapes']): void {
  const theirs = shapes[name]
  assert.ok(theirs, at)
  let ours = described.parse(schema)
  // A member that may be left out may also be null.
  if (ours.anyOf) ours = described.parse(ours.anyOf[0])
  if (theirs.type === 'structure') {
    assert.deepEqual(Object.keys(ours.properties).toSorted(), Object.keys(theirs.members).toSorted(), at)
    assert.deepEqual(ours.required.toSorted(), theirs.required.toSorted(), at)
    for (const [member, { shape }] of Object.entries(theirs.members)) {
      compare(`${at}.${member}`, shape, ours.properties[member], shapes)
    }
  } else if (theirs.type === 'list') {
    assert.deepEqual([ours.minItems, ours.maxItems], [theirs.min, theirs.max], at)
    if (theirs.member) compare(`${at}[]`, theirs.member.shape, ours.items, shapes)
  } else if (theirs.type === 'string') {
    assert.deepEqual(ours.enum, theirs.enum, at)
    assert.equal(bare(ours.pattern), bare(theirs.pattern), at)
    if (ours.maxLength !== undefined || theirs.max !== undefined) assert.equal(ours.maxLength, theirs.max, at)
  } else if (theirs.type === 'integer') {
    assert.deepEqual([ours.minimum, ours.maximum], [theirs.min, theirs.max], at)
  }
}

for (const [name, operation] of Object.entries(OPERATIONS)) {
  test(`${name} takes what the service model says, and declares its errors`, { skip }, () => {
    assert.ok(model)
    const theirs = model.operations[name]
    assert.ok(theirs)
    assert.deepEqual(operation.errors.toSorted(), theirs.errors.map((error) => error.shape).toSorted())
    const input = z.toJSONSchema(operation.input, { io: 'input', unrepresentable: 'any' })
    compare(name, theirs.input.shape, input, model.shapes)
  })
}
