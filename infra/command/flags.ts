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
  readonly roles: string
}
