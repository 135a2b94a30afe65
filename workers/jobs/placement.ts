/** Which host has an HSM, and whether anybody hears of that host. */
import type { Hsm } from '../../state/hsms.ts'
import type { HostPort } from './ports.ts'
import type { JobContext } from './transition.ts'

type Placed = Pick<Hsm, 'id' | 'hostId'>

/** The host of an HSM; undefined before it was given one. */
export function hostOf({ ports }: Pick<JobContext, 'ports'>, hsm: Placed | undefined): HostPort | undefined {
  return hsm === undefined || hsm.hostId === null ? undefined : ports.hosts.on(hsm.hostId)
}

/** Whether the host of an HSM is silent, so that nothing that is asked of it would be done. */
export async function isCutOff(ctx: Pick<JobContext, 'ports'>, hsm: Placed): Promise<boolean> {
  return (await hostOf(ctx, hsm)?.condition(hsm.id))?.kind === 'cut-off'
}
