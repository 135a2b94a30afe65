/** Where the page stands. */
import { fileURLToPath } from 'node:url'

export const PAGE = fileURLToPath(new URL('../../../docs/protocol.md', import.meta.url))
