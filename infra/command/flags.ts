/** What the command line may say, command by command, as commander hands it over. */

export interface DataFlag {
  readonly data?: string
}
export interface UpFlags extends DataFlag {
  readonly port?: string
  readonly listen?: string
  readonly regions?: string
  readonly config?: string
  readonly ephemeral?: boolean
  readonly allowHsm1?: boolean
  readonly pace?: string
  readonly rehearsal?: boolean
  readonly detach?: boolean
}
export interface StatusFlags extends DataFlag {
  readonly json?: boolean
}
export interface LogsFlags extends DataFlag {
  readonly follow?: boolean
  readonly lines: string
  readonly json?: boolean
}
export interface ClockFlags extends DataFlag {
  readonly json?: boolean
}
export interface TrailFlags extends DataFlag {
  readonly region?: string
  readonly config?: string
  readonly since?: string
  readonly eventName?: string
  readonly resource?: string
  readonly follow?: boolean
  readonly limit?: string
  readonly json?: boolean
  readonly export?: string
}
export interface DoctorFlags extends DataFlag {
  readonly port?: string
}
export interface AuditListFlags extends DataFlag {
  readonly json?: boolean
}
export interface AuditShowFlags extends AuditListFlags {
  readonly cluster?: string
  readonly hsm?: string
  readonly lines: string
}
export interface AuditVerifyFlags extends DataFlag {
  readonly cluster?: string
  readonly hsm?: string
  readonly root?: string
  readonly from?: string
  readonly head?: string
}
export interface RegionFlags extends DataFlag {
  readonly region: string
  readonly port?: string
  readonly listen?: string
  readonly config?: string
  readonly peerPort?: string
  readonly pace?: string
  readonly rehearsal?: boolean
  readonly roles: string
  readonly allowHsm1?: boolean
  /** False with --no-hsms. */
  readonly hsms: boolean
}
export interface HostFlags extends DataFlag {
  readonly region: string
  readonly zones: string
  readonly name?: string
  readonly addresses?: string
  readonly capacity: string
  readonly config?: string
}
export interface HsmListFlags extends DataFlag {
  readonly json?: boolean
}
