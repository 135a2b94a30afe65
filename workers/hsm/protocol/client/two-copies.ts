import { z } from 'zod'

/**
 * `requireTwoCopies` is the client's key-availability check (data-plane §6.1): with it a token key is made or used
 * only when at least two HSMs hold it; else NotEnoughCopies, and a key just made is undone.
 */
export const requireTwoCopies = z.boolean().default(true)
