/** Waiting and repeating that end when the worker is told to stop. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Asked through a call, because what is true of a signal now need not be true after the next await. */
export function stopped(signal: AbortSignal): boolean {
  return signal.aborted
}

/** Waits, or until the signal. Never throws. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}

/** Resolves when the signal aborts. */
export function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
