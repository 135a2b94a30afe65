import { setTimeout as delay } from 'node:timers/promises'

export interface Backoff {
  readonly firstMs: number
  readonly maxMs: number
}

/**
 * Milliseconds to wait after so many failures: doubling from `firstMs` to `maxMs`, then a random share between half of
 * it and all, so that many clients of one HSM do not return at the same moment.
 */
export function backoffMs(failures: number, { firstMs, maxMs }: Backoff): number {
  const whole = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30))
  return whole * (0.5 + Math.random() / 2)
}

/** Waits; comes back early, without an error, when the signal fires. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  try {
    await delay(ms, undefined, { signal })
  } catch {
    // Only the signal ends the delay early.
  }
}
