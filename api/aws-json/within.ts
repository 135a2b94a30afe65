/** An upper bound on waiting. */
import { AnswerTooLate } from './failures.ts'

/**
 * The result of `work`, or AnswerTooLate after `ms`. The work goes on by itself; it is told through the signal, and must
 * not take effect any more.
 */
export async function within<Result>(ms: number, work: (late: AbortSignal) => Promise<Result>): Promise<Result> {
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new AnswerTooLate(ms)
      late.abort(error)
      reject(error)
    }, ms)
  })
  try {
    return await Promise.race([work(late.signal), tooLate])
  } finally {
    clearTimeout(timer)
  }
}
