/**
 * Spans sent to a collector by OTLP over HTTP, as JSON (OpenTelemetry protocol 1.x, "OTLP/HTTP"; proto3 JSON mapping).
 *
 * Written here rather than taken from OpenTelemetry's packages: those weigh 20 MB and load for a tenth of a second, and
 * all that is needed of them is these messages.
 */
import { randomBytes } from 'node:crypto'
import type { Logger } from 'pino'
import type { Attributes, SpanKind, TraceContext, Tracer } from '../../provider-schema/trace.ts'
import { VERSION } from '../version.ts'
import type { Tracing } from './tracing.ts'

export interface OtlpOptions {
  /** Whole, e.g. `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly resource: Attributes
  readonly log: Logger
  readonly pauseMs?: number
}

interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  /** Nanoseconds since the epoch: 64-bit numbers are texts in JSON. */
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly object[]
  readonly status: { readonly code: number; readonly message?: string }
}

const KINDS = { internal: 1, server: 2, producer: 4, consumer: 5 } as const satisfies Record<SpanKind, number>
const STATUS = { unset: 0, error: 2 } as const
const PAUSE_MS = 2_000
const MOST_WAITING = 4_096
const AT_ONCE = 512
const SEND_MS = 5_000

export function openOtlpTracer(options: OtlpOptions): Tracing {
  const { log, pauseMs = PAUSE_MS } = options
  let waiting: OtlpSpan[] = []
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  let sending: Promise<void> | undefined
  let isFailing = false

  const send = async (): Promise<void> => {
    const batch = waiting.slice(0, AT_ONCE)
    waiting = waiting.slice(AT_ONCE)
    try {
      await post(options, batch)
      if (isFailing) log.info({ dropped }, 'the collector takes traces again')
      isFailing = false
    } catch (error) {
      // Traces help to look closer; nobody waits for them and nothing depends on them.
      dropped += batch.length
      if (!isFailing) log.warn({ err: error }, 'the collector does not take traces; they are dropped')
      isFailing = true
    }
  }
  const schedule = (): void => {
    if (timer || sending || waiting.length === 0) return
    timer = setTimeout(() => {
      timer = undefined
      sending = send().finally(() => {
        sending = undefined
        schedule()
      })
    }, pauseMs)
    timer.unref()
  }
  const take = (span: OtlpSpan): void => {
    if (waiting.length >= MOST_WAITING) dropped++
    else waiting.push(span)
    schedule()
  }
  return {
    tracer: tracerInto(take),
    stop: async () => {
      clearTimeout(timer)
      await sending
      while (waiting.length > 0 && !isFailing) await send()
    },
  }
}

/** A caller that does not sample is followed in that; who sends no trace is sampled. */
function tracerInto(take: (span: OtlpSpan) => void): Tracer {
  return {
    start: (name, { parent, kind = 'internal', attributes = {} } = {}) => {
      const context: TraceContext = {
        traceId: parent?.traceId ?? randomBytes(16).toString('hex'),
        spanId: randomBytes(8).toString('hex'),
        isSampled: parent?.isSampled ?? true,
      }
      const began = nanoseconds()
      return {
        context,
        end: (result = {}) => {
          if (!context.isSampled) return
          take({
            traceId: context.traceId,
            spanId: context.spanId,
            ...(parent && { parentSpanId: parent.spanId }),
            name: result.name ?? name,
            kind: KINDS[kind],
            startTimeUnixNano: String(began),
            endTimeUnixNano: String(nanoseconds()),
            attributes: attributesOf({ ...attributes, ...result.attributes }),
            status:
              result.error === undefined
                ? { code: STATUS.unset }
                : { code: STATUS.error, message: result.error.slice(0, 300) },
          })
        },
      }
    },
  }
}

const nanoseconds = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n

function attributesOf(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value:
      typeof value === 'string'
        ? { stringValue: value.slice(0, 300) }
        : typeof value === 'boolean'
          ? { boolValue: value }
          : { doubleValue: value },
  }))
}

async function post({ url, headers, resource }: OtlpOptions, spans: readonly OtlpSpan[]): Promise<void> {
  const body = JSON.stringify({
    resourceSpans: [
      {
        resource: { attributes: attributesOf(resource) },
        scopeSpans: [{ scope: { name: 'strongroom', version: VERSION }, spans }],
      },
    ],
  })
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(SEND_MS),
    redirect: 'error',
  })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`the collector answers ${response.status}`)
}
