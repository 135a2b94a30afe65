/** The control plane's HTTP face. Stateless: any number of these serve one region. */
import express, { type ErrorRequestHandler, type Express, type Response } from 'express'
import { COMMON_HEADERS } from './aws-json/reply.ts'
import { frontEnd } from './front-end.ts'
import { clock } from './operator/clock.ts'
import { health } from './operator/health.ts'
import type { ApiPorts } from './ports.ts'

/** Builds the application; whoever calls it listens, with time-outs of their own, and closes. */
export function createApi(ports: ApiPorts): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.post('/', frontEnd(ports))
  app.all('/', (_request, response) => {
    response.set('Allow', 'POST')
    refuse(response, 405, 'Only POST is answered here: AWS JSON 1.1, signed with Signature Version 4.')
  })
  app.use(health(ports))
  app.use(clock(ports))
  app.all(['/_strongroom/live', '/_strongroom/ready'], (_request, response) => {
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
