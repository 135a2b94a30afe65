/** Figures of one run as a table: what was measured, against whom, and the ratio of the two. */

export interface Row {
  readonly what: string
  readonly ours: number
  readonly unit: string
  /** The peer of the same run, or a stored figure that says it is one. */
  readonly peer?: { readonly name: string; readonly value: number }
  /** What the design asks for, in words. */
  readonly bar?: string
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The one of an odd number of rounds whose value is the median: its figures belong together. */
export function medianBy<Round>(rounds: readonly Round[], valueOf: (round: Round) => number): Round {
  const middle = rounds.toSorted((a, b) => valueOf(a) - valueOf(b))[Math.floor(rounds.length / 2)]
  if (middle === undefined) throw new Error('nothing was measured')
  return middle
}

/** The value below which a share of the values lies, by nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

/** Prints a table in Markdown, so that it can be read on a terminal and pasted into a page. */
export function report(title: string, rows: readonly Row[]): void {
  const cells = rows.map((row) => [
    row.what,
    `${round(row.ours)} ${row.unit}`,
    row.peer ? `${row.peer.name}: ${round(row.peer.value)} ${row.unit}` : '–',
    row.peer ? (row.ours / row.peer.value).toFixed(2) : '–',
    row.bar ?? '–',
  ])
  const head = ['what', 'Strongroom', 'peer, same run', 'ratio', 'bar']
  const widths = head.map((name, column) => Math.max(name.length, ...cells.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`
  console.log(`\n${title}\n`)
  console.log(line(head))
  console.log(line(widths.map((width) => '-'.repeat(width))))
  for (const row of cells) console.log(line(row))
}

const round = (value: number) => (value >= 100 ? Math.round(value).toString() : value.toPrecision(3))
