/**
 * Whether this process traces, and where to: the configuration's `telemetry`, else the environment's OTEL_… variables as
 * OpenTelemetry has them ("OTLP exporter configuration"). The exporter's code is loaded only then.
 */
import type { Logger } from 'pino'
import type { Tracer } from '../../provider-schema/trace.ts'

export interface Tracing {
  readonly tracer: Tracer
  /** Sends what is left, for at most a moment. */
  stop(): Promise<void>
}

type Environment = Readonly<Record<string, string | undefined>>

export interface TracingSettings {
  readonly region: string
  readonly roles: readonly string[]
  readonly telemetry: { readonly otlpEndpoint?: string | undefined }
}

/** Undefined when no endpoint is configured. */
export async function openTracing(
  settings: TracingSettings,
  log: Logger,
  env: Environment = process.env,
): Promise<Tracing | undefined> {
  const url = tracesUrl(settings.telemetry.otlpEndpoint, env)
  if (url === undefined) return undefined
  const { openOtlpTracer } = await import('./otlp-tracer.ts')
  log.info({ collector: `${new URL(url).origin}/` }, 'traces are sent')
  return openOtlpTracer({
    url,
    headers: headersOf(env['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] ?? env['OTEL_EXPORTER_OTLP_HEADERS'] ?? ''),
    resource: {
      'service.name': env['OTEL_SERVICE_NAME'] ?? 'strongroom',
      'service.instance.id': `${settings.region}-${process.pid}`,
      'cloud.region': settings.region,
      'strongroom.roles': settings.roles.join(','),
    },
    log,
  })
}

/** A base URL gets `/v1/traces`; the variable for traces alone is used as it is (OTLP exporter specification). */
function tracesUrl(configured: string | undefined, env: Environment): string | undefined {
  if (env['OTEL_SDK_DISABLED'] === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none') return undefined
  const own = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']
  const base = configured ?? env['OTEL_EXPORTER_OTLP_ENDPOINT']
  const url = configured === undefined && own ? own : base ? `${base.replace(/\/+$/, '')}/v1/traces` : undefined
  return url !== undefined && /^https?:\/\//.test(url) && URL.canParse(url) ? url : undefined
}

/** `name=value,name=value`, values percent-encoded. May hold a secret: never logged. */
function headersOf(text: string): Record<string, string> {
  const pairs = text.split(',').flatMap((pair) => {
    const equals = pair.indexOf('=')
    if (equals <= 0) return []
    try {
      return [[pair.slice(0, equals).trim(), decodeURIComponent(pair.slice(equals + 1).trim())] as const]
    } catch {
      return []
    }
  })
  return Object.fromEntries(pairs)
}
