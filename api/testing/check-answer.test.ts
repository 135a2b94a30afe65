import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { z } from 'zod'
import { OPERATIONS } from '../../provider-schema/operations.ts'
import { checkAnswer } from './check-answer.ts'
import { PUBLISHED_OUTPUTS } from './published-outputs.ts'

const headers = new Headers({
  'x-amzn-requestid': '7a1f2e3d-1111-4222-8333-444455556666',
  'content-type': 'application/x-amz-json-1.1',
})
const check = (operation: string, body: unknown, status = 200) => {
  checkAnswer(operation, { status, headers, body })
}

test('every operation has a published output', () => {
  assert.deepEqual(Object.keys(PUBLISHED_OUTPUTS).toSorted(), Object.keys(OPERATIONS).toSorted())
})

test('an answer with an unknown member, a missing one, a null or a time as text is not let through', () => {
  check('ListTags', { TagList: [{ Key: 'k', Value: '' }] })
  const wrong: readonly (readonly [string, unknown])[] = [
    ['ListTags', {}],
    ['ListTags', { TagList: [{ Key: 'k' }] }],
    ['ListTags', { TagList: [], NextToken: null }],
    ['TagResource', { Message: 'done' }],
    ['DescribeClusters', { Clusters: [{ ClusterId: 'cluster-aaaaaaaaaaa', Step: 'x' }] }],
    ['DescribeClusters', { Clusters: [{ Hsms: [{ State: 'ACTIVE' }] }] }],
    ['DescribeClusters', { Clusters: [{ State: 'READY' }] }],
    ['DescribeClusters', { Clusters: [{ CreateTimestamp: '2026-01-01T00:00:00Z' }] }],
    ['DescribeClusters', { Clusters: [{ CreateTimestamp: Date.now() }] }],
    ['DescribeClusters', { Clusters: [{ StateMessage: null }] }],
    ['NoOperation', {}],
  ]
  for (const [operation, body] of wrong) assert.throws(() => check(operation, body), assert.AssertionError)
})

test('a refusal has a code that the operation declares, its status and a text, and nothing else', () => {
  const refusal = { __type: 'CloudHsmInvalidRequestException', Message: 'Why.' }
  check('CreateHsm', refusal, 400)
  assert.throws(() => check('CreateHsm', refusal, 500), /status/)
  assert.throws(() => check('CreateHsm', { ...refusal, message: 'Why.' }, 400), /not as published/)
  assert.throws(() => check('CreateHsm', { ...refusal, Message: '' }, 400), /not as published/)
  assert.throws(() => check('CreateHsm', { ...refusal, __type: 'CloudHsmTagException' }, 400), /does not declare/)
  const missing = { ...refusal, __type: 'CloudHsmResourceNotFoundException' }
  assert.throws(() => check('DescribeClusters', missing, 400), /does not declare/)
})

/** The output shapes of the model that botocore carries, as `member type` lines below each operation. */
const SCRIPT = `
import botocore.session, json
model = botocore.session.get_session().get_service_model('cloudhsmv2')
def walk(at, shape, required, found):
    kind = {'timestamp': 'number', 'structure': 'object', 'list': 'array', 'map': 'object'}.get(shape.type_name, shape.type_name)
    found.append(at + ' ' + kind + (' required' if required else '') + ' ' + '|'.join(sorted(getattr(shape, 'enum', []))))
    if shape.type_name == 'structure':
        for name, member in shape.members.items(): walk(at + '.' + name, member, name in shape.required_members, found)
    if shape.type_name == 'list': walk(at + '[]', shape.member, False, found)
out = {}
for name in model.operation_names:
    out[name] = []
    walk(name, model.operation_model(name).output_shape, False, out[name])
print(json.dumps(out))`
const model = await promisify(execFile)('python3', ['-c', SCRIPT], { maxBuffer: 16 * 1024 * 1024 }).then(
  ({ stdout }) => z.record(z.string(), z.array(z.string())).parse(JSON.parse(stdout)),
  () => undefined,
)

const described = z.object({
  type: z.string(),
  properties: z.record(z.string(), z.unknown()).default({}),
  required: z.array(z.string()).default([]),
  items: z.unknown().optional(),
  enum: z.array(z.string()).default([]),
})

function lines(at: string, schema: unknown, required: boolean): string[] {
  const shape = described.parse(schema)
  return [
    `${at} ${shape.type}${required ? ' required' : ''} ${shape.enum.toSorted().join('|')}`,
    ...Object.entries(shape.properties).flatMap(([name, member]) =>
      lines(`${at}.${name}`, member, shape.required.includes(name)),
    ),
    ...(shape.items === undefined ? [] : lines(`${at}[]`, shape.items, false)),
  ]
}

test('what is written down is what botocore carries', { skip: model ? false : 'botocore is not installed' }, () => {
  for (const [name, published] of Object.entries(PUBLISHED_OUTPUTS)) {
    assert.deepEqual(lines(name, z.toJSONSchema(published), false).toSorted(), model?.[name]?.toSorted(), name)
  }
})
