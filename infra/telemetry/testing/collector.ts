/** A collector that keeps what it is sent: OTLP over HTTP, JSON. */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'

const value = z.union([
  z.strictObject({ stringValue: z.string() }),
  z.strictObject({ boolValue: z.boolean() }),
  z.strictObject({ doubleValue: z.number() }),
])
const attributes = z.array(z.strictObject({ key: z.string(), value }))
const span = z.strictObject({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  name: z.string().min(1),
  kind: z.int().min(1).max(5),
  startTimeUnixNano: z.string().regex(/^\d{19}$/),
  endTimeUnixNano: z.string().regex(/^\d{19}$/),
  attributes,
  status: z.strictObject({ code: z.int().min(0).max(2), message: z.string().optional() }),
})
/** ExportTraceServiceRequest, as far as it is used. */
const message = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({
          scope: z.strictObject({ name: z.string(), version: z.string() }),
          spans: z.array(span),
        }),
      ),
    }),
  ),
})
export type ReceivedSpan = z.infer<typeof span>

export interface Collector {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  readonly resources: readonly z.infer<typeof attributes>[]
  /** Of the requests, in order. */
  readonly headers: readonly IncomingHttpHeaders[]
  /** Status that it answers with from now on. */
  answer(status: number): void
  close(): void
}

/** Listens on a free port; refuses what is not OTLP. */
export async function startCollector(): Promise<Collector> {
  const spans: ReceivedSpan[] = []
  const resources: z.infer<typeof attributes>[] = []
  const headers: IncomingHttpHeaders[] = []
  let status = 200
  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    request.on('end', () => {
      headers.push(request.headers)
      const parsed = message.safeParse(request.url === '/v1/traces' ? JSON.parse(text) : undefined)
      if (status === 200 && parsed.success) {
        for (const { resource, scopeSpans } of parsed.data.resourceSpans) {
          resources.push(resource.attributes)
          spans.push(...scopeSpans.flatMap((scope) => scope.spans))
        }
      }
      response.writeHead(parsed.success ? status : 400).end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    resources,
    headers,
    answer: (next) => (status = next),
    close: () => server.close().closeAllConnections(),
  }
}
