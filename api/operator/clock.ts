/**
 * The service clock: what time it is, and, in a rehearsal, moving it ahead. For `strongroom clock`, with the operator's
 * key; an access key of an account opens nothing here.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { json, Router, type ErrorRequestHandler, type RequestHandler, type Response } from 'express'
import { z } from 'zod'
import { COMMON_HEADERS } from '../aws-json/reply.ts'
import type { ApiPorts } from '../ports.ts'

const PATH = '/_strongroom/clock'

/** Forward only, whole seconds, at most ten years in one go. */
const advance = z.strictObject({
  advanceSeconds: z
    .int()
    .min(1)
    .max(10 * 366 * 24 * 3_600),
})

export function clock(ports: ApiPorts): Router {
  const router = Router()
  const show = (response: Response) => {
    const [now, real] = [ports.clock(), ports.realClock()]
    send(response, 200, {
      region: ports.region,
      now: now.toISOString(),
      aheadSeconds: Math.round((now.getTime() - real.getTime()) / 1000),
      rehearsal: ports.operator.advanceClock !== undefined,
    })
  }
  router.use(PATH, operatorOnly(ports))
  router.get(PATH, (_request, response) => show(response))
  router.post(PATH, json({ limit: 1024 }), async (request, response) => {
    if (!ports.operator.advanceClock) {
      send(response, 403, { message: `${ports.region} was not started with --rehearsal: its clock is not moved.` })
      return
    }
    const asked = advance.safeParse(request.body)
    if (!asked.success) {
      send(response, 400, { message: 'advanceSeconds must be a whole number of seconds from 1 to ten years.' })
      return
    }
    const moved = await ports.operator.advanceClock(asked.data.advanceSeconds * 1000)
    if (!moved) {
      send(response, 400, { message: 'The clock cannot be more than a hundred years ahead.' })
      return
    }
    ports.log.warn({ seconds: asked.data.advanceSeconds }, 'the service clock was moved ahead')
    show(response)
  })
  router.use(PATH, failed(ports))
  return router
}

function operatorOnly({ operator }: ApiPorts): RequestHandler {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  const expected = digest(`Bearer ${operator.key.reveal()}`)
  return (request, response, next) => {
    if (timingSafeEqual(digest(request.get('authorization') ?? ''), expected)) next()
    else send(response, 401, { message: 'The key of the operator is needed.' })
  }
}

function failed({ log }: ApiPorts): ErrorRequestHandler {
  return (error: unknown, _request, response: Response, next) => {
    if (response.headersSent) {
      next(error)
      return
    }
    const isTheirs =
      error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500
    if (!isTheirs) log.error({ err: error }, 'the clock could not be shown or moved')
    send(response, isTheirs ? 400 : 503, { message: isTheirs ? 'The body cannot be read.' : 'The clock is not known.' })
  }
}

function send(response: Response, status: number, body: object): void {
  response.status(status).set(COMMON_HEADERS).json(body)
}
