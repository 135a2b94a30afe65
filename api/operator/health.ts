/** Whether this API lives, and whether its region can serve. For load balancers, orchestrators and the launcher. */
import { Router, type Response } from 'express'
import { AnswerTooLate } from '../aws-json/failures.ts'
import { COMMON_HEADERS } from '../aws-json/reply.ts'
import { within } from '../aws-json/within.ts'
import type { ApiPorts, Readiness } from '../ports.ts'
import { mayReadMetrics, METRICS_TYPE } from './metrics-access.ts'
import { metrics } from './metrics.ts'
import type { RequestCounts } from './request-counts.ts'

const READY_MS = 2_000
const NOT_THERE = 'not reachable or not migrated'

/**
 * `live`: this process answers. `ready`: 200 when requests can be served, else 503; each with what was looked at.
 * `metrics`: for who may read them.
 */
export function health(ports: ApiPorts, counts: RequestCounts): Router {
  const told = metrics(ports, counts)
  const router = Router()
  router.get('/_strongroom/live', (_request, response) => {
    send(response, 200, { live: true })
  })
  router.get('/_strongroom/ready', async (_request, response) => {
    const readiness = await readinessOf(ports)
    send(response, readiness.ready ? 200 : 503, { region: ports.region, ...readiness })
  })
  router.get('/_strongroom/metrics', async (request, response) => {
    if (!mayReadMetrics(request, ports.metrics)) {
      send(response, 403, {
        message: 'Metrics are for callers on the same machine; see "metrics" in the configuration.',
      })
      return
    }
    response.status(200).set({ ...COMMON_HEADERS, 'Content-Type': METRICS_TYPE })
    response.end(await told.text())
  })
  return router
}

async function readinessOf(ports: ApiPorts): Promise<Readiness> {
  const others = await otherChecks(ports)
  // Who waits for a first start asks many times a second: until the database has its tables, it is left alone.
  const isBeingMade = others.checks['migrations'] !== undefined && others.checks['migrations'] !== 'ok'
  const database = isBeingMade ? NOT_THERE : await databaseState(ports)
  return { ready: database === 'ok' && others.ready, checks: { database, ...others.checks } }
}

/** Reachable, and in the shape that this version needs: the tables are there. */
async function databaseState({ database, log }: ApiPorts): Promise<string> {
  try {
    await within(READY_MS, () => database.pool.query('select from clusters, graphile_worker._private_jobs limit 0'))
    return 'ok'
  } catch (error) {
    log.debug({ err: error }, 'the database is not ready')
    return error instanceof AnswerTooLate ? 'does not answer' : NOT_THERE
  }
}

async function otherChecks({ ready, log }: ApiPorts): Promise<Readiness> {
  try {
    return await within(READY_MS, ready)
  } catch (error) {
    log.warn({ err: error }, 'readiness could not be told')
    return { ready: false, checks: { region: 'does not answer' } }
  }
}

function send(response: Response, status: number, body: object): void {
  response.status(status).set(COMMON_HEADERS).json(body)
}
