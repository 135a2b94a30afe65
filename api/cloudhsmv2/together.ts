/** One question for all who ask at the same time. */

/**
 * A function that gives what `ask` gave, asked after it was called. While an answer is awaited, who calls waits for the
 * next one, together with all others that call meanwhile: an answer is never older than the call.
 */
export function together<Answer>(ask: () => Promise<Answer>): () => Promise<Answer> {
  let underWay: Promise<unknown> | undefined
  let next: Promise<Answer> | undefined
  const begin = (): Promise<Answer> => {
    next = undefined
    const answer = ask()
    const over = answer.then(
      () => undefined,
      () => undefined,
    )
    underWay = over
    void over.then(() => {
      if (underWay === over) underWay = undefined
    })
    return answer
  }
  return () => {
    if (next) return next
    // Also when nothing is under way: whoever calls within the same turn of the event loop joins.
    next = (underWay ?? Promise.resolve()).then(begin)
    return next
  }
}
