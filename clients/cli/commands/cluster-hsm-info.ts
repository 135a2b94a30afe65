import { z } from 'zod'
import { command } from '../command.ts'
import { presentHsm } from '../present.ts'

export const clusterHsmInfo = command({
  path: 'cluster hsm-info',
  summary: 'List the HSMs of the cluster and what they are',
  input: z.object({}),
  run: async (_input, { connect }) => {
    const client = await connect()
    const infos = await client.hsmInfo()
    return { hsms: infos.map(({ answer }) => presentHsm(answer)) }
  },
})
