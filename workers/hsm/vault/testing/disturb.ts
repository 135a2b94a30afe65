/** What may happen to simulated HSMs in any storm, whatever they are asked for meanwhile. */
import type { SimulatedHsm } from '../../replication/testing/simulation.ts'
import type { SimulatedVaults } from './simulated-vaults.ts'

/** HSMs by their place in the cluster. */
interface Step {
  readonly do: string
  readonly hsm?: number
  readonly other?: number
  readonly zone?: number
  readonly ms?: number
}

/**
 * Does what concerns network, time and processes. Gives the HSM that a step is about while it is a member: what else the
 * step says is to be asked of that one.
 */
export async function disturb(vaults: SimulatedVaults, step: Step, zones: number): Promise<SimulatedHsm | undefined> {
  const { simulated } = vaults
  if (step.do === 'heal') simulated.heal()
  if (step.do === 'pass') await simulated.clock.run(step.ms ?? 0)
  if (step.do === 'join') await vaults.join()
  if (step.do === 'zone') vaults.severZone((i) => i % zones === step.zone)
  if (step.do === 'alone') vaults.severZone((i) => i === step.hsm)
  const on = step.hsm === undefined ? undefined : simulated.hsms[step.hsm]
  if (!on || !vaults.hsms.includes(on)) return undefined
  if (step.do === 'crash') simulated.crash(on)
  if (step.do === 'start' && !on.running) await vaults.start(on)
  const other = step.other === undefined ? undefined : simulated.hsms[step.other]
  if (step.do === 'sever' && other && other !== on) simulated.sever(on, other)
  return on
}
