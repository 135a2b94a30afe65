/**
 * The identifiers of every resource: their types, their patterns and how a new one is made.
 *
 * Patterns are those of the service model 2017-04-28; new ids follow what the real service hands out: eleven
 * lower-case base32 characters behind the prefix, seventeen hexadecimal digits for EC2-like ids.
 */
import { randomBytes } from 'node:crypto'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type ClusterId = Branded<'ClusterId'>
export type HsmId = Branded<'HsmId'>
export type BackupId = Branded<'BackupId'>
export type EniId = Branded<'EniId'>
export type SubnetId = Branded<'SubnetId'>
export type VpcId = Branded<'VpcId'>
export type SecurityGroupId = Branded<'SecurityGroupId'>
/** Twelve decimal digits. */
export type AccountId = Branded<'AccountId'>
/** A copy of a backup to another region that is under way; ours, never shown by the API. */
export type CopyId = Branded<'CopyId'>

export const ID_PATTERNS = {
  cluster: /^cluster-[2-7a-zA-Z]{11,16}$/,
  hsm: /^hsm-[2-7a-zA-Z]{11,16}$/,
  backup: /^backup-[2-7a-zA-Z]{11,16}$/,
  taggable: /^(?:cluster|backup)-[2-7a-zA-Z]{11,16}$/,
  eni: /^eni-[0-9a-fA-F]{8,17}$/,
  subnet: /^subnet-[0-9a-fA-F]{8,17}$/,
  backupOrArn:
    /^(arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}-[0-9]{1}):[0-9]{12}:backup\/)?backup-[2-7a-zA-Z]{11,16}$/,
  resourceArn:
    /^arn:aws(-(us-gov))?:cloudhsm:([a-z]{2}(-(gov|isob|iso))?-(east|west|north|south|central){1,2}-[0-9]{1}):[0-9]{12}:(backup\/backup|cluster\/cluster|hsm\/hsm)-[2-7a-zA-Z]{11,16}$/,
} as const

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'

/** Eleven random base32 characters: 55 bits, as in ids of the real service. */
function base32Suffix(): string {
  let suffix = ''
  for (const byte of randomBytes(11)) suffix += BASE32.charAt(byte & 31)
  return suffix
}

function hexSuffix(): string {
  return randomBytes(9).toString('hex').slice(0, 17)
}

export const newClusterId = () => `cluster-${base32Suffix()}` as ClusterId
export const newHsmId = () => `hsm-${base32Suffix()}` as HsmId
export const newBackupId = () => `backup-${base32Suffix()}` as BackupId
export const newEniId = () => `eni-${hexSuffix()}` as EniId
export const newVpcId = () => `vpc-${hexSuffix()}` as VpcId
export const newSecurityGroupId = () => `sg-${hexSuffix()}` as SecurityGroupId
export const newCopyId = () => `copy-${base32Suffix()}` as CopyId

/** The backup id inside what SourceBackupId accepts: an id or a full ARN. */
export function backupIdOf(idOrArn: string): BackupId {
  return idOrArn.slice(idOrArn.lastIndexOf('/') + 1) as BackupId
}
