/** Where the subnets of a new cluster lie. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { newVpcId, type AccountId, type SubnetId, type VpcId } from '../../provider-schema/ids.ts'
import type { Database } from '../../state/database.ts'
import type { Subnet } from '../../state/subnets.ts'
import type { ApiPorts } from '../ports.ts'
import { subnetsKnownIn } from './known-subnets.ts'

export interface PlacedSubnets {
  readonly vpcId: VpcId
  /** Availability zone → subnet. */
  readonly mapping: Record<string, SubnetId>
  /** Those that were given a zone just now: to be remembered with what they are for. */
  readonly assigned: readonly Subnet[]
  /** The VPC that the account has, or is given with them; undefined when that does not matter. */
  readonly vpcOfAccount?: VpcId
}

interface Place {
  readonly zone: string
  readonly vpcId: VpcId
}

type World = Pick<ApiPorts, 'database' | 'configuredSubnets' | 'unknownSubnets' | 'zones'>

/**
 * Finds the zone of each subnet: by the configuration, by what is remembered, or by giving it the next zone that this
 * request does not use yet. All must lie in one VPC, at most one in a zone; else CloudHsmInvalidRequestException. Writes
 * nothing: somebody else may assign the same ones meanwhile.
 */
export async function placeSubnets(account: AccountId, ids: readonly SubnetId[], world: World): Promise<PlacedSubnets> {
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined) throw invalidRequest(`The subnet ${twice} is given more than once.`)
  const places = await knownPlaces(account, ids, world)
  const strange = ids.filter((id) => !places.has(id))
  if (strange.length === 0) return { ...mapped(ids, places), assigned: [] }
  if (world.unknownSubnets === 'refuse') throw unknownSubnet(strange)
  const common = [...places.values()][0]?.vpcId
  const vpcId = common ?? (await vpcOf(account, world.database))
  const assigned = strange.map((id): Subnet => {
    const zone = freeZone([...places.values()], world)
    places.set(id, { zone, vpcId })
    return { id, account, availabilityZone: zone, vpcId, cidr: null }
  })
  return { ...mapped(ids, places), assigned, ...(common === undefined && { vpcOfAccount: vpcId }) }
}

async function knownPlaces(
  account: AccountId,
  ids: readonly SubnetId[],
  { configuredSubnets, database }: World,
): Promise<Map<SubnetId, Place>> {
  const places = new Map<SubnetId, Place>()
  for (const row of await subnetsKnownIn(database, ids)) {
    // Somebody else's subnet is not known to this account, as at AWS.
    if (row.account !== account && !configuredSubnets.has(row.id)) throw unknownSubnet([row.id])
    places.set(row.id, { zone: row.availabilityZone, vpcId: row.vpcId })
  }
  for (const id of ids) {
    const configured = configuredSubnets.get(id)
    if (configured) places.set(id, configured)
  }
  return places
}

function freeZone(used: readonly Place[], { zones }: World): string {
  const zone = zones.find((each) => used.every((place) => place.zone !== each))
  if (zone !== undefined) return zone
  throw invalidRequest(`At most one subnet for each availability zone: there are ${zones.length} zones.`)
}

/** An account has one VPC here, that of its first subnet. */
const vpcOf = async (account: AccountId, { read }: Database): Promise<VpcId> =>
  (await read.subnets.vpcOf(account)) ?? newVpcId()

function mapped(
  ids: readonly SubnetId[],
  places: ReadonlyMap<SubnetId, Place>,
): Pick<PlacedSubnets, 'vpcId' | 'mapping'> {
  const mapping: Record<string, SubnetId> = {}
  let vpcId: VpcId | undefined
  for (const id of ids) {
    const place = places.get(id)
    if (!place) throw unknownSubnet([id])
    const other = mapping[place.zone]
    if (other !== undefined) {
      throw invalidRequest(`The subnets ${other} and ${id} are both in ${place.zone}: at most one for each zone.`)
    }
    vpcId ??= place.vpcId
    if (place.vpcId !== vpcId) throw invalidRequest('All subnets must be in the same VPC.')
    mapping[place.zone] = id
  }
  if (vpcId === undefined) throw invalidRequest('At least one subnet is needed.')
  return { vpcId, mapping }
}

function unknownSubnet(ids: readonly SubnetId[]) {
  return invalidRequest(`The subnet ID '${ids.join("', '")}' does not exist.`)
}
