/** What a host is told of an HSM that it is to run. Everything in it is public. */
import { z } from 'zod'

export const orderedHsm = z.object({
  hsmType: z.string().max(64),
  /** Where it listens; one of the host's addresses. */
  listenIp: z.ipv4(),
  /** What the API shows. */
  eniIp: z.ipv4(),
  /** Which uses of a key exclude each other; the same on every HSM of the region. */
  keySeparation: z.string().max(64).optional(),
})
export type OrderedHsm = z.infer<typeof orderedHsm>
