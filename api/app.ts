/** The control plane's HTTP face. Stateless: any number of these serve one region. */
import type { RequestListener } from 'node:http'
import express, { type ErrorRequestHandler, type Response } from 'express'
import { COMMON_HEADERS } from './aws-json/reply.ts'
import { frontEnd } from './front-end.ts'
import { clock } from './operator/clock.ts'
import { health } from './operator/health.ts'
import { requestCounts, type RequestCounts } from './operator/request-counts.ts'
import type { ApiPorts } from './ports.ts'

/**
 * Builds the application; whoever calls it listens, with time-outs of their own, and closes.
 *
 * Operations go straight to their handler: express, which serves all other paths, costs 0.05 ms a request.
 */
export function createApi(ports: ApiPorts): RequestListener {
  const counts = requestCounts()
  const operations = frontEnd(ports, counts)
  const others = otherPaths(ports, operations, counts)
  return (request, response) => {
    if (request.method === 'POST' && request.url === '/') void operations(request, response)
    else others(request, response)
  }
}

function otherPaths(ports: ApiPorts, operations: ReturnType<typeof frontEnd>, counts: RequestCounts): RequestListener {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  // With a query, which a signature may cover.
  app.post('/', operations)
  app.all('/', (_request, response) => {
    response.set('Allow', 'POST')
    refuse(response, 405, 'Only POST is answered here: AWS JSON 1.1, signed with Signature Version 4.')
  })
  app.use(health(ports, counts))
  app.use(clock(ports))
  app.all(['/_strongroom/live', '/_strongroom/ready', '/_strongroom/metrics'], (_request, response) => {
    response.set('Allow', 'GET, HEAD')
    refuse(response, 405, 'Only GET is answered here.')
  })
  app.use((_request, response) => refuse(response, 404, 'There is nothing at this path.'))
  app.use(malformed(ports))
  return app
}

/** What express itself could not read, a broken path for instance. */
function malformed({ log }: ApiPorts): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error)
      return
    }
    const ours = !(error instanceof URIError)
    if (ours) log.error({ err: error }, 'a request failed outside of its handler')
    if (ours) refuse(response, 500, 'The request failed.')
    else refuse(response, 400, 'The path cannot be read.')
  }
}

function refuse(response: Response, status: number, message: string): void {
  response.status(status).set(COMMON_HEADERS).json({ message })
}
