/** What Node is told for each process of ours; bin/.exec says the same. */
import { fileURLToPath } from 'node:url'

export const NODE_FLAGS: readonly string[] = [
  '--disable-warning=ExperimentalWarning',
  // By path, not --import by URL: directories may be called anything.
  '--require',
  fileURLToPath(new URL('./quick-imports.ts', import.meta.url)),
]
