import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { pino } from 'pino'
import { parseTraceparent, traceparentOf } from '../../provider-schema/trace.ts'
import { startCollector, type Collector } from './testing/collector.ts'
import { openTracing } from './tracing.ts'

const lines: string[] = []
const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(line) })
const settings = { region: 'us-east-1', roles: ['api'], telemetry: {} }

describe('tracing', () => {
  let collector: Collector
  before(async () => {
    collector = await startCollector()
  })
  after(() => collector.close())

  test('is off unless an endpoint is configured, and when it is switched off', async () => {
    for (const env of [
      {},
      { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'not a url' },
      { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_SDK_DISABLED: 'true' },
      { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_EXPORTER: 'none' },
    ]) {
      assert.equal(await openTracing(settings, log, env), undefined)
    }
  })

  for (const [what, endpoint, env] of [
    ['the configuration', true, {}],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', false, { OTEL_EXPORTER_OTLP_ENDPOINT: true }],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', false, { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: true }],
  ] as const) {
    test(`sends to the endpoint of ${what}, with its headers, which are not logged`, async () => {
      const urls = Object.keys(env).map(
        (name) => [name, name.includes('TRACES') ? `${collector.url}/v1/traces` : collector.url] as const,
      )
      const headers = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20hunter2,broken', OTEL_SERVICE_NAME: 'mine' }
      const telemetry = endpoint ? { otlpEndpoint: `${collector.url}/` } : {}
      const tracing = await openTracing({ ...settings, telemetry }, log, { ...Object.fromEntries(urls), ...headers })
      assert.ok(tracing)
      const before = collector.spans.length
      tracing.tracer.start('work', { attributes: { n: 1, yes: true, text: 'x' } }).end({ error: 'it broke' })
      await tracing.stop()
      const [span, ...others] = collector.spans.slice(before)
      assert.ok(span)
      assert.equal(others.length, 0)
      assert.equal(span.name, 'work')
      assert.deepEqual(span.status, { code: 2, message: 'it broke' })
      assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano))
      assert.ok(Math.abs(Number(BigInt(span.startTimeUnixNano) / 1_000_000n) - Date.now()) < 60_000)
      assert.equal(collector.headers.at(-1)?.authorization, 'Bearer hunter2')
      assert.ok(!lines.join('').includes('hunter2'))
      const names = new Map(collector.resources.at(-1)?.map((each) => [each.key, each.value]))
      assert.deepEqual(names.get('service.name'), { stringValue: 'mine' })
      assert.deepEqual(names.get('cloud.region'), { stringValue: 'us-east-1' })
    })
  }

  test('follows a caller that does not sample', async () => {
    const tracing = await openTracing(settings, log, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    assert.ok(tracing)
    const before = collector.spans.length
    const parent = parseTraceparent(`00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`)
    const span = tracing.tracer.start('quiet', { parent })
    assert.equal(span.context.traceId, 'a'.repeat(32))
    span.end()
    await tracing.stop()
    assert.equal(collector.spans.length, before)
  })

  test('drops what a collector does not take, says so once, and keeps nobody waiting', async () => {
    collector.answer(503)
    const tracing = await openTracing(settings, log, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url })
    for (let n = 0; n < 1_500; n++) tracing?.tracer.start('lost').end()
    await tracing?.stop()
    collector.answer(200)
    assert.equal(lines.filter((line) => line.includes('does not take traces')).length, 1)
  })
})

describe('a traceparent', () => {
  const good = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`
  test('is read as it is written', () => {
    const context = parseTraceparent(good)
    assert.deepEqual(context, { traceId: '1'.repeat(32), spanId: '2'.repeat(16), isSampled: true })
    assert.equal(traceparentOf(context), good)
    assert.equal(parseTraceparent(`cc-${good.slice(3)}-later`)?.isSampled, true)
  })
  for (const [what, text] of [
    ['nothing', undefined],
    ['an empty text', ''],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${'2'.repeat(16)}-01`],
    ['a span of zeros', `00-${'1'.repeat(32)}-${'0'.repeat(16)}-01`],
    ['version ff', `ff${good.slice(2)}`],
    ['version 00 with more behind it', `${good}-x`],
    ['capital letters', good.replaceAll('1', 'A')],
    ['something long', `cc${good.slice(2)}-${'x'.repeat(600)}`],
  ] as const) {
    test(`is not taken from ${what}`, () => assert.equal(parseTraceparent(text), undefined))
  }
})
