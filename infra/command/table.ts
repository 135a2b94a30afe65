/** Columns for a terminal. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** Whole mebibytes; a dash when it is not known. */
export const mebibytes = (bytes: number | undefined) =>
  bytes === undefined ? '–' : `${Math.round(bytes / 1024 / 1024)} MiB`
