/**
 * What the job workers need of the world, as interfaces. `infra` implements them and hands them in.
 *
 * Every call may be repeated: after a crash the step that made it runs again. A call that cannot succeed yet throws;
 * the step is tried again until its deadline.
 */
import type { BackupId, ClusterId, CopyId, HsmId } from '../../provider-schema/ids.ts'
import type { HsmType } from '../../provider-schema/limits.ts'
import type { Connection } from '../hsm/protocol/connection.ts'
import type {
  ManagementOperations,
  MembershipDocument,
  SignedMembership,
} from '../hsm/protocol/management-operations.ts'

/** What a host must know to run an HSM. */
export interface HsmToRun {
  readonly id: HsmId
  readonly hsmType: string
  /** Where it listens; one of the host's addresses. */
  readonly listenIp: string
  /** What the API shows. */
  readonly eniIp: string
}

/** An HSM as its host sees it. `why` is a sentence, fit for StateMessage. */
export type HsmCondition =
  /** Its process runs, whether or not it answers; or is about to run again. `why` it could not until now. */
  | { readonly kind: 'running'; readonly why?: string }
  /** What is in its directory cannot be used, or there is none. */
  | { readonly kind: 'lost'; readonly why: string }
  /** Its keys are destroyed, for good. */
  | { readonly kind: 'zeroised'; readonly why: string }
  /** Its host is silent as well: nobody knows how it is. It may come back with all it had. */
  | { readonly kind: 'cut-off'; readonly why: string }

/** Where an HSM is to be found. */
export interface HsmAddress {
  /** What the API shows. */
  readonly eniIp: string
  /** What the process binds. */
  readonly listenIp: string
}

/** All hosts of the region, whichever process looks after them. */
export interface HostsPort {
  /** Of a host that nobody ever saw every call fails. */
  on(hostId: string): HostPort
}

/** The processes of one host. They outlive the control plane; a crashed one is restarted by the host without being asked. */
export interface HostPort {
  /**
   * Where an HSM that comes to this host can listen: the address it has, if the host can bind it, else one of the host's
   * own that is not `taken`. The address that is shown follows it, unless another was asked for. Nothing is reserved.
   */
  addressFor(hsm: HsmAddress, taken: ReadonlySet<string>): Promise<HsmAddress>
  /** Makes the HSM's directory and starts its process, unless that was done. Resolves when the process runs. */
  ensureRunning(hsm: HsmToRun): Promise<void>
  /**
   * Has the HSM's device key certified by manufacturer CA and provider CA, unless that was done, and waits until the HSM
   * serves its ports. Gives the certificates for DescribeClusters.
   */
  certify(hsm: HsmToRun): Promise<DeviceCertificates>
  /** How the HSM's process is, and whether it can ever be again. */
  condition(hsmId: HsmId): Promise<HsmCondition>
  /**
   * Ends the process for good and removes its directory, both if they are still there. Whoever must zeroise first, has.
   * A host that is silent does it when it is back; nobody waits for that.
   */
  remove(hsmId: HsmId): Promise<void>
  /** As `remove`, but what is in the directory is kept, where no process runs on it, for who may recover something. */
  setAside(hsmId: HsmId): Promise<void>
}

/** Two certificates over the same device key, PEM, ending in a newline. */
export interface DeviceCertificates {
  /** Issued by the provider CA: AwsHardwareCertificate. */
  readonly awsHardwareCertificate: string
  /** Issued by the manufacturer CA: ManufacturerHardwareCertificate. */
  readonly manufacturerHardwareCertificate: string
}

/** A connection to an HSM's management port, with the control plane's credentials. The caller closes it. */
export type ManagementConnection = Pick<Connection<ManagementOperations>, 'call' | 'close' | 'usable'>

export interface HsmPort {
  /** Throws ConnectionLost when nobody answers there, or who answers is not this HSM. */
  connect(hsm: { readonly id: HsmId; readonly listenIp: string }): Promise<ManagementConnection>
  /** Signs a list of members with the control plane's key. */
  signMembership(document: MembershipDocument): SignedMembership
}

export interface StoredBackup {
  /** Bytes. */
  readonly size: number
  /** BLAKE3 of all bytes, hexadecimal. */
  readonly digest: string
}

/** Sealed backups of one region. A backup is there whole or not at all. */
export interface BackupStorePort {
  /** Keeps a backup durably (fsync, atomic rename). Throws when it could not be kept whole. */
  put(id: BackupId, content: AsyncIterable<Uint8Array>): Promise<StoredBackup>
  /** Bytes from an offset on. Throws when there is no such backup. */
  read(id: BackupId, offset?: number): AsyncIterable<Uint8Array>
  /** What is stored, its digest computed from the bytes; undefined when there is nothing. */
  verify(id: BackupId): Promise<StoredBackup | undefined>
  /** Removes it if it is there. */
  remove(id: BackupId): Promise<void>
}

/** What the source tells the destination of a copy. */
export interface CopyAnnouncement {
  readonly copyId: CopyId
  readonly account: string
  readonly sourceRegion: string
  readonly sourceBackup: BackupId
  readonly sourceCluster: ClusterId
  readonly hsmType: HsmType
  readonly mode: 'FIPS' | 'NON_FIPS'
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly tags: Readonly<Record<string, string>>
  readonly size: number
  readonly digest: string
  readonly clusterCertificate: string | null
  readonly trustAnchor: string | null
}

/** Another region, over mTLS. */
export interface RegionPort {
  /** Regions that can be reached at all. */
  readonly known: readonly string[]
  /** Makes the destination's row, once for each copyId; tells its id and how many bytes are there already. */
  announceCopy(
    region: string,
    copy: Omit<CopyAnnouncement, 'sourceRegion'>,
  ): Promise<{ backupId: BackupId; offset: number; done: boolean }>
  /** Sends bytes from an offset on. */
  sendCopy(region: string, copyId: CopyId, offset: number, content: AsyncIterable<Uint8Array>): Promise<void>
  /** The destination verifies size and digest and makes the copy READY. Throws when they do not fit, and forgets all bytes. */
  finishCopy(region: string, copyId: CopyId): Promise<void>
  /** Gives the copy up: the destination removes the bytes and shows it DELETED. */
  abandonCopy(region: string, copyId: CopyId, reason: string): Promise<void>
}

export interface Ports {
  readonly hosts: HostsPort
  readonly hsms: HsmPort
  readonly backups: BackupStorePort
  readonly regions: RegionPort
}
