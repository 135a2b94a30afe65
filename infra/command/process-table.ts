/** Processes as a terminal shows them. */
import type { Observed } from './observe.ts'
import { mebibytes, table } from './table.ts'

/** `of` heads the column of their names. */
export function processTable(of: string, processes: readonly Observed[]): string {
  const rows = processes.map(({ name, region, state, pid, memoryBytes, address }) => [
    name,
    region ?? '',
    state,
    pid === undefined ? '–' : String(pid),
    mebibytes(memoryBytes),
    address,
  ])
  return table([of, 'REGION', 'STATE', 'PID', 'MEMORY', 'ADDRESS'], rows)
}
