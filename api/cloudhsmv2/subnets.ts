/** Where the subnets of a new cluster lie. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { newVpcId, type AccountId, type SubnetId, type VpcId } from '../../provider-schema/ids.ts'
import type { Access } from '../../state/database.ts'
import type { ApiPorts } from '../ports.ts'

export interface PlacedSubnets {
  readonly vpcId: VpcId
  /** Availability zone → subnet. */
  readonly mapping: Record<string, SubnetId>
}

interface Place {
  readonly zone: string
  readonly vpcId: VpcId
}

type World = Pick<ApiPorts, 'configuredSubnets' | 'unknownSubnets' | 'zones'>

/**
 * Finds the zone of each subnet: by the configuration, by what is remembered, or by giving it the next zone that this
 * request does not use yet. All must lie in one VPC, at most one in a zone; else CloudHsmInvalidRequestException. The
 * caller holds the account.
 */
export async function placeSubnets(
  tx: Access,
  account: AccountId,
  ids: readonly SubnetId[],
  world: World,
): Promise<PlacedSubnets> {
  const twice = ids.find((id, i) => ids.indexOf(id) !== i)
  if (twice !== undefined) throw invalidRequest(`The subnet ${twice} is given more than once.`)
  const places = await knownPlaces(tx, account, ids, world)
  const strange = ids.filter((id) => !places.has(id))
  if (strange.length > 0) {
    if (world.unknownSubnets === 'refuse') throw unknownSubnet(strange)
    const vpcId = [...places.values()][0]?.vpcId ?? (await vpcOf(tx, account))
    for (const id of strange) places.set(id, await assign(tx, account, id, vpcId, [...places.values()], world))
  }
  return mapped(ids, places)
}

async function knownPlaces(
  tx: Access,
  account: AccountId,
  ids: readonly SubnetId[],
  { configuredSubnets }: World,
): Promise<Map<SubnetId, Place>> {
  const places = new Map<SubnetId, Place>()
  for (const row of await tx.subnets.find(ids)) {
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

async function assign(
  tx: Access,
  account: AccountId,
  id: SubnetId,
  vpcId: VpcId,
  used: readonly Place[],
  { zones }: World,
): Promise<Place> {
  const zone = zones.find((each) => used.every((place) => place.zone !== each))
  if (zone === undefined) {
    throw invalidRequest(`At most one subnet for each availability zone: there are ${zones.length} zones.`)
  }
  const row = await tx.subnets.remember({ id, account, availabilityZone: zone, vpcId })
  if (row.account !== account) throw unknownSubnet([id])
  return { zone: row.availabilityZone, vpcId: row.vpcId }
}

/** An account has one VPC here, that of its first subnet. */
async function vpcOf(tx: Access, account: AccountId): Promise<VpcId> {
  const [first] = await tx.subnets.ofAccount(account)
  return first?.vpcId ?? newVpcId()
}

function mapped(ids: readonly SubnetId[], places: ReadonlyMap<SubnetId, Place>): PlacedSubnets {
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
