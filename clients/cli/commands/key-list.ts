import { z } from 'zod'
import type { KeyInfo } from '../../../workers/hsm/protocol/attributes.ts'
import { command } from '../command.ts'
import { filterFlag } from '../filters.ts'
import { presentKey, presentKeyBriefly } from '../present.ts'

/** What an HSM gives in one answer. */
const PAGE = 1_000

export const keyList = command({
  path: 'key list',
  summary: 'List keys: your own, those shared with you, and all public ones',
  options: [
    { flags: '--filter <filter...>', description: 'key-reference=0x… or attr.NAME=VALUE; all must hold' },
    { flags: '--max-items <number>', description: 'how many keys to list', default: '10' },
    { flags: '--starting-token <token>', description: 'where to go on: the next_token of the list before' },
    { flags: '-v, --verbose', description: 'with owners, sharing and every attribute' },
  ],
  input: z.object({
    filter: filterFlag,
    maxItems: z.coerce.number().int().min(1).max(1_000_000),
    startingToken: z
      .string()
      .regex(/^[0-9]{1,9}$/, 'a token is a next_token of a list before')
      .default('0'),
    verbose: z.boolean().default(false),
  }),
  run: async ({ filter, maxItems, startingToken, verbose }, { loggedIn }) => {
    const client = await loggedIn()
    const start = Number(startingToken)
    const keys: KeyInfo[] = []
    let total = 0
    do {
      const limit = Math.min(PAGE, maxItems - keys.length)
      const page = await client.keys.find(filter, { offset: start + keys.length, limit })
      total = page.total
      keys.push(...page.keys)
      // A page may hold fewer than were asked for: keys that are shared with many are long.
      if (page.keys.length === 0 || start + keys.length >= total) break
    } while (keys.length < maxItems)
    const next = start + keys.length
    // An admin sees references and labels only (data-plane §1.1).
    const full = verbose && client.user?.role !== 'admin'
    return {
      matched_keys: full ? keys.map(presentKey) : keys.map(presentKeyBriefly),
      total_key_count: total,
      returned_key_count: keys.length,
      ...(keys.length > 0 && next < total && { next_token: String(next) }),
    }
  },
})
