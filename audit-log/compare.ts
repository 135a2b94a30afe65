/** Checks the logs of one cluster's HSMs against what they say of each other. */
import type { Finding, Verified } from './verify.ts'

/**
 * The same logs. One whose end another HSM saw, and that does not hold it any more, has a finding more: its end was cut
 * off. What stood in files that were removed on purpose is not missed.
 */
export function compareLogs(logs: readonly Verified[]): Verified[] {
  return logs.map((log) => {
    const seen = logs.flatMap((other) =>
      other.clusterId === log.clusterId && other.hsmId !== log.hsmId
        ? other.peerHeads.flatMap((head) => (head.hsmId === log.hsmId ? [{ ...head, by: other.hsmId ?? '' }] : []))
        : [],
    )
    const missing = seen.filter(({ hash, events }) => !log.checkpoints.has(hash) && events > log.from)
    const [worst] = missing.toSorted((a, b) => b.events - a.events)
    if (!worst) return log
    const says =
      `${worst.by} saw ${worst.events} events of this log, up to the checkpoint ${worst.hash} (${worst.file}:${worst.line}), ` +
      'which is not there: the end of the log was cut off'
    const finding: Finding = { file: log.lastFile, line: 0, says }
    return { ...log, findings: [...log.findings, finding] }
  })
}
