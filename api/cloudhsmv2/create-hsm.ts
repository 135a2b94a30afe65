/** CreateHsm: asks for one more HSM in a cluster. Asynchronous: the HSM appears as CREATE_IN_PROGRESS. */
import { invalidRequest } from '../../provider-schema/errors.ts'
import { newEniId, newHsmId, type SubnetId } from '../../provider-schema/ids.ts'
import { jobs } from '../../provider-schema/jobs.ts'
import type { Cluster } from '../../state/clusters.ts'
import type { Access } from '../../state/database.ts'
import type { Hsm } from '../../state/hsms.ts'
import type { Caller } from '../caller.ts'
import { quotasOf, type ApiPorts } from '../ports.ts'
import { isUnicast, isWithin } from './ipv4.ts'
import { newIpV6 } from './ipv6.ts'
import { operation } from './operation.ts'
import { presentHsm } from './present.ts'

export const createHsm = operation('CreateHsm', async ({ input, caller, tx, ports, now, audit }) => {
  await tx.accounts.lock(caller.account)
  const cluster = await tx.clusters.forUpdate(caller.account, input.ClusterId)
  const present = await tx.hsms.ofCluster(cluster.id)
  requireStateForHsm(cluster, present)
  const subnetId = subnetInZone(cluster, input.AvailabilityZone)
  const taken = await tx.hsms.addressesInUse()
  if (input.IpAddress !== undefined) await requireFreeAddress(input.IpAddress, subnetId, taken, tx, ports)
  await requireRoomForHsm(tx, caller, present, ports)
  const { eniIp, listenIp, note } = await ports.addresses.choose(taken, input.IpAddress, input.AvailabilityZone)
  const hsm = await tx.hsms.insert({
    id: newHsmId(),
    clusterId: cluster.id,
    account: caller.account,
    hsmType: cluster.hsmType,
    availabilityZone: input.AvailabilityZone,
    subnetId,
    eniId: newEniId(),
    eniIp,
    eniIpV6: cluster.networkType === 'DUALSTACK' ? newIpV6(cluster.vpcId, subnetId) : null,
    listenIp,
    state: 'CREATE_IN_PROGRESS',
    stateMessage: note ?? null,
    createdAt: now,
  })
  await tx.enqueue(jobs.launchHsm, { hsmId: hsm.id })
  await audit(hsm.id)
  return { Hsm: presentHsm(hsm) }
})

function requireStateForHsm(cluster: Cluster, present: readonly Hsm[]): void {
  switch (cluster.state) {
    case 'ACTIVE':
    case 'DEGRADED':
      return
    case 'UNINITIALIZED':
    case 'INITIALIZED':
      if (present.length > 0) {
        // The words of the real service (recorded).
        throw invalidRequest(`Cluster '${cluster.id}' already contains an HSM but has not yet been fully activated`)
      }
      // There is no backup of it yet, so nothing to fill a new HSM with.
      if (cluster.state === 'INITIALIZED') {
        throw invalidRequest(
          `The cluster ${cluster.id} lost its only HSM before it was activated. Delete it and create another.`,
        )
      }
      return
    default:
      throw invalidRequest(`The cluster ${cluster.id} is ${cluster.state}: an HSM cannot be created now.`)
  }
}

function subnetInZone(cluster: Cluster, zone: string): SubnetId {
  const subnet = cluster.subnetMapping[zone]
  if (subnet === undefined) {
    const zones = Object.keys(cluster.subnetMapping).sort().join(', ')
    throw invalidRequest(`The cluster ${cluster.id} has no subnet in ${zone}. It has: ${zones}.`)
  }
  return subnet
}

async function requireFreeAddress(
  address: string,
  subnetId: SubnetId,
  taken: ReadonlySet<string>,
  tx: Access,
  ports: ApiPorts,
): Promise<void> {
  if (!isUnicast(address)) throw invalidRequest(`${address} is not an IPv4 address that an HSM can have.`)
  const cidr = ports.configuredSubnets.get(subnetId)?.cidr ?? (await tx.subnets.find([subnetId]))[0]?.cidr
  if (cidr && !isWithin(address, cidr)) throw invalidRequest(`${address} is not in ${subnetId} (${cidr}).`)
  if (taken.has(address)) throw invalidRequest(`The address ${address} is in use.`)
}

async function requireRoomForHsm(tx: Access, { account }: Caller, present: readonly Hsm[], ports: ApiPorts) {
  const limits = quotasOf(account, ports)
  if (present.length >= limits.hsmsPerCluster) {
    throw invalidRequest(`This cluster has the most HSMs that a cluster can have: ${limits.hsmsPerCluster}.`)
  }
  if ((await tx.hsms.countOf(account)) >= limits.hsmsPerAccount) {
    throw invalidRequest(`This account has the most HSMs that it may have in this region: ${limits.hsmsPerAccount}.`)
  }
}
