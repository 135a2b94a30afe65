/** A request's body, never more of it than is allowed. */
import type { IncomingMessage } from 'node:http'
import { ServiceError } from '../../provider-schema/errors.ts'
import { LIMITS } from '../../provider-schema/limits.ts'

/** A sender that takes longer than this for at most 1 MiB is cut off. */
const BODY_MS = 30_000

/** All bytes of the body. Throws RequestEntityTooLargeException as soon as it is known to be too large. */
export function readBody(request: IncomingMessage, limit: number = LIMITS.requestBody): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.reject(tooLarge(limit))
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => request.destroy(new Error('the body took too long')), BODY_MS)
    const settle = (then: () => void) => {
      clearTimeout(timer)
      request.off('data', take).off('end', end).off('close', closed).off('error', failed)
      then()
    }
    const take = (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) settle(() => reject(tooLarge(limit)))
      else chunks.push(chunk)
    }
    const end = () => settle(() => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    const failed = (error: Error) => settle(() => reject(new RequestGone(error)))
    const closed = () => settle(() => reject(new RequestGone()))
    request.on('data', take).on('end', end).on('close', closed).on('error', failed)
  })
}

/** The sender went away before its request was whole: there is nobody to answer. */
export class RequestGone extends Error {
  constructor(cause?: unknown) {
    super('the request ended early', { cause })
    this.name = 'RequestGone'
  }
}

function tooLarge(limit: number): ServiceError {
  return new ServiceError('RequestEntityTooLargeException', `The request body is larger than ${limit} bytes.`)
}

/** Bytes that are still taken, and thrown away, of a body that was refused; and for how long. */
const LINGER = { bytes: 16 * 1024 * 1024, ms: 5_000 }

/**
 * Resolves when a refused body has been let pass, within bounds. A connection that is closed with bytes unread is reset,
 * and the sender never sees the answer.
 */
export function letPass(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    let size = 0
    const finish = () => {
      clearTimeout(timer)
      request.off('data', count).off('end', finish).off('close', finish)
      resolve()
    }
    const count = (chunk: Buffer) => {
      size += chunk.length
      if (size > LINGER.bytes) finish()
    }
    const timer = setTimeout(finish, LINGER.ms)
    request.on('data', count).on('end', finish).on('close', finish)
    request.resume()
  })
}
