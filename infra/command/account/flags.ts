/** What the command line may say to `strongroom account …`, as commander hands it over. */

export interface PlaceFlags {
  readonly data?: string
  readonly config?: string
}
export interface ListFlags extends PlaceFlags {
  readonly json?: boolean
}
export interface AccountFlag extends PlaceFlags {
  /** Twelve digits; may be left out while there is only one. */
  readonly account?: string
}
export interface NewAccountFlags extends ListFlags {
  readonly name?: string
  /** False with --no-key. */
  readonly key: boolean
}
export interface DeleteAccountFlags extends PlaceFlags {
  readonly force?: boolean
}
export interface PrincipalListFlags extends AccountFlag {
  readonly json?: boolean
}
export interface NewUserFlags extends AccountFlag {
  readonly tag?: readonly string[]
}
export interface NewRoleFlags extends NewUserFlags {
  readonly trust: string
  readonly maxSession?: string
}
export interface NewKeyFlags extends AccountFlag {
  readonly user?: string
  readonly id?: string
  readonly secretStdin?: boolean
  readonly json?: boolean
}
export interface HolderFlags extends AccountFlag {
  readonly user?: string
  readonly role?: string
}
