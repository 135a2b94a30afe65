/** How far a change of a cluster's HSM type is (control-plane reference §2.4): kept in the cluster's row. */
import type { BackupId, HsmId } from './ids.ts'
import type { HsmType } from './limits.ts'

/** The last change of the type, as long as it can be taken back. */
export interface HsmTypeMigration {
  /** The type before. */
  readonly from: HsmType
  /** The full backup before the first swap; of a cluster without HSMs its newest. A rollback restores it. */
  readonly preMigrationBackup: BackupId | null
  /** A rollback first keeps the content that it takes away in a backup: which one, or that there is to be one. */
  readonly lastBackup?: BackupId | 'wanted' | undefined
  /** The swap under way. */
  readonly swap: HsmSwap | null
}

export interface HsmSwap {
  /** The HSM that goes, and the one that comes in its place. */
  readonly hsmId: HsmId
  readonly replacementId: HsmId
  readonly backupId: BackupId | null
  /** Digest of what the HSM that goes holds: the one that comes must hold the same. */
  readonly digest: string | null
  /** Epoch milliseconds until when the new HSM has to prove itself. */
  readonly validateBy: number | null
}
