/**
 * Traces: which request a piece of work belongs to, in the terms of W3C Trace Context and OpenTelemetry. Interfaces and
 * text only; `infra` sends spans to a collector when one is configured, and hands nothing in when none is.
 */

/** Place in a trace (W3C Trace Context §3.2.2). */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  readonly isSampled: boolean
}

export type SpanKind = 'internal' | 'server' | 'producer' | 'consumer'
export type Attributes = Readonly<Record<string, string | number | boolean>>

export interface SpanOptions {
  readonly parent?: TraceContext | undefined
  readonly kind?: SpanKind
  readonly attributes?: Attributes
}

export interface Span {
  readonly context: TraceContext
  /** Ends it now, under another name when its own was not known at the start; `error` marks a failure. */
  end(result?: { readonly name?: string; readonly attributes?: Attributes; readonly error?: string }): void
}

export interface Tracer {
  start(name: string, options?: SpanOptions): Span
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** The place that a `traceparent` names; undefined when it names none. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  if (text === undefined || text.length > 512) return undefined
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(text) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export const traceparentOf = ({ traceId, spanId, isSampled }: TraceContext) =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
