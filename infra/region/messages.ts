/** What launcher and region process say to each other over IPC. */
import { z } from 'zod'
import { peers, regionSettings } from './settings.ts'

export const toRegion = z.discriminatedUnion('type', [
  z.object({ type: z.literal('start'), settings: regionSettings }),
  z.object({ type: z.literal('peers'), peers }),
  /** End; HSM processes are left running, or not. */
  z.object({ type: z.literal('stop'), leaveHsms: z.boolean() }),
])
export type ToRegion = z.infer<typeof toRegion>

export const fromRegion = z.discriminatedUnion('type', [
  z.object({ type: z.literal('api'), port: z.number() }),
  z.object({ type: z.literal('peer'), port: z.number() }),
  /** It cannot run as it was told to; starting it again would not help. */
  z.object({ type: z.literal('trouble'), message: z.string(), mend: z.string().optional() }),
])
export type FromRegion = z.infer<typeof fromRegion>
