/** What the API needs of the world, as interfaces. `infra` implements them and hands them in. */
import type { Logger } from 'pino'
import type { AccountId, SubnetId, VpcId } from '../provider-schema/ids.ts'
import type { HsmType } from '../provider-schema/limits.ts'
import type { Tracer } from '../provider-schema/trace.ts'
import type { Database } from '../state/database.ts'
import type { Session } from './identity/identity-key.ts'
import type { Identity } from './identity/principal.ts'
import type { Secret } from './identity/secret.ts'
import type { Role } from './identity/snapshot.ts'
import type { TrailPort } from './trail/recorder.ts'

/** Who holds an access key, and what they may do. */
export interface AccessKey extends Identity {
  /** The same object as long as the secret is the same: keys derived from it are kept by it. */
  readonly secret: Secret
}

/** What temporary credentials are to stand for. */
export type SessionRequest = Omit<Session, 'issuedAt' | 'expiresAt'> & {
  readonly issuedAt: Date
  readonly expiresAt: Date
}

export interface TemporaryCredentials {
  readonly accessKeyId: string
  readonly secret: Secret
  readonly sessionToken: string
  readonly expiresAt: Date
}

export interface IdentityPort {
  /**
   * Undefined when there is no such access key, or the token is not the one that was issued with it. Whether a session
   * has expired is for the caller to see.
   */
  find(accessKeyId: string, sessionToken?: string): Promise<AccessKey | undefined>
  /** Undefined when there is no such role. */
  role(arn: string): Promise<Role | undefined>
  issue(request: SessionRequest): TemporaryCredentials
  /** Whether an access key is one of the configuration. */
  isConfigured(accessKeyId: string): boolean
}

/** Addresses for a new HSM. */
export interface ChosenAddress {
  /** What the API shows. */
  readonly eniIp: string
  /** What the process binds. */
  readonly listenIp: string
  /** For StateMessage, when the two differ. */
  readonly note?: string
}

export interface AddressPort {
  /**
   * Picks an address that is not `taken`. A `requested` one is shown whether or not it can be bound here. Throws when
   * there is none left. It is not reserved: the caller stores it, and asks again when somebody else was faster. `zone` is
   * the one that the HSM is for.
   */
  choose(taken: ReadonlySet<string>, requested?: string, zone?: string): Promise<ChosenAddress>
}

/** A subnet of the configuration: known to every account. */
export interface ConfiguredSubnet {
  readonly zone: string
  readonly vpcId: VpcId
  /** IPv4 prefix, e.g. `10.0.1.0/24`; where it is known, a requested IpAddress must lie inside. */
  readonly cidr?: string
}

/** Soft quotas; the defaults are those of `LIMITS` in provider-schema/limits.ts. */
export interface Quotas {
  readonly clustersPerAccount: number
  readonly hsmsPerAccount: number
  readonly hsmsPerCluster: number
}

/** What an operator may do over HTTP, apart from AWS's operations. */
export interface OperatorPort {
  /** Whoever has it may: it lies where only the operator can read it. */
  readonly key: Secret
  /**
   * Moves the service clock of the region ahead by milliseconds. False, and nothing moved, when that is too far. Only in
   * a region that was started to rehearse; elsewhere nobody can move it.
   */
  readonly advanceClock?: (ms: number) => Promise<boolean>
}

/** Quotas of everybody, and what some accounts have instead. */
export interface Limits extends Quotas {
  readonly accounts?: Readonly<Record<string, { readonly [Quota in keyof Quotas]?: number | undefined }>>
}

/** What an account may have. */
export function quotasOf(account: AccountId, { limits }: { readonly limits: Limits }): Quotas {
  const { accounts, ...common } = limits
  const own = Object.entries(accounts?.[account] ?? {}).filter(([, value]) => value !== undefined)
  return { ...common, ...Object.fromEntries(own) }
}

export interface ApiPorts {
  /** The region that this API is, e.g. `us-east-1`: requests must be signed for it. */
  readonly region: string
  readonly database: Database
  readonly identity: IdentityPort
  readonly addresses: AddressPort
  /** Availability zones of the region in order, e.g. `us-east-1a`. At least one. */
  readonly zones: readonly string[]
  readonly configuredSubnets: ReadonlyMap<SubnetId, ConfiguredSubnet>
  /** What happens to a subnet nobody knows: given a zone and remembered (for local use), or refused. */
  readonly unknownSubnets: 'assign' | 'refuse'
  /** HSM types a new cluster may have. hsm1.medium is closed at AWS and has to be asked for. */
  readonly offeredHsmTypes: readonly HsmType[]
  /** Regions a backup can be copied to; this one may be among them. */
  readonly knownRegions: readonly string[]
  /** 32 random bytes, the same for every API process of the region. */
  readonly pageTokenKey: Buffer
  readonly limits: Limits
  /**
   * The service clock: of timestamps, and of every duration that the service promises. Throws
   * ServiceUnavailableException while it is not known yet.
   */
  readonly clock: () => Date
  /** Real time, of signatures and certificates. */
  readonly realClock: () => Date
  readonly operator: OperatorPort
  readonly log: Logger
  /** Takes note of reads and refusals; left out: nobody does. What changes something is recorded with its rows. */
  readonly trail?: TrailPort
  /** Left out: nothing is traced. */
  readonly tracer?: Tracer | undefined
  /** Who may read the metrics; only whoever is on the same machine, when left out. */
  readonly metrics?: 'loopback' | 'anyone' | 'off'
  /** What else must be well before the region is ready; the database is looked at by the API itself. */
  readonly ready: () => Promise<Readiness>
}

export interface Readiness {
  readonly ready: boolean
  /** What was looked at → `ok`, or what is wrong. Shown to anybody: nothing internal. */
  readonly checks: Readonly<Record<string, string>>
}
