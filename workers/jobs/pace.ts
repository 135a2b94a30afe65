/**
 * How long a transition rests before it does its work, for those who want to rehearse with AWS's times. What it needs for
 * the work itself comes on top: a second or so.
 */

/** A fraction of AWS's times: 0 is none, 1 is AWS's own. */
export type Pace = number

/** Seconds that AWS takes, from and to (control-plane reference §2.1, §1.3; what is not recorded is of their order). */
const AWS_SECONDS = {
  'create-cluster': [60, 300],
  'initialize-cluster': [270, 330],
  'delete-cluster': [20, 30],
  'launch-hsm': [300, 600],
  'delete-hsm': [100, 140],
  'take-backup': [120, 300],
  'copy-backup': [120, 300],
  /** For each HSM, before it is swapped: it works meanwhile (data-plane reference §8, "about 30 min per HSM"). */
  'migrate-hsm-type': [1_650, 1_950],
  'roll-back-hsm-type': [1_650, 1_950],
  /** From the moment a client activated the cluster until that shows. */
  activation: [70, 90],
} as const satisfies Record<string, readonly [number, number]>

/** Milliseconds to rest at this pace; somewhere between from and to. 0 for what has no time of AWS's. */
export function restMs(pace: Pace, what: string): number {
  const range = Object.entries(AWS_SECONDS).find(([name]) => name === what)?.[1]
  if (!range) return 0
  const [from, to] = range
  return Math.round(pace * 1000 * (from + Math.random() * (to - from)))
}
