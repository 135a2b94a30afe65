/**
 * The states of every resource and which may follow which (control-plane reference §2).
 *
 * `state/change-state.ts` is the only code that moves a resource from one state to another, and it refuses whatever
 * is not listed here.
 */
export const CLUSTER_STATES = [
  'CREATE_IN_PROGRESS',
  'UNINITIALIZED',
  'INITIALIZE_IN_PROGRESS',
  'INITIALIZED',
  'ACTIVE',
  'UPDATE_IN_PROGRESS',
  'MODIFY_IN_PROGRESS',
  'ROLLBACK_IN_PROGRESS',
  'DELETE_IN_PROGRESS',
  'DELETED',
  'DEGRADED',
] as const
export type ClusterState = (typeof CLUSTER_STATES)[number]

export const HSM_STATES = ['CREATE_IN_PROGRESS', 'ACTIVE', 'DEGRADED', 'DELETE_IN_PROGRESS', 'DELETED'] as const
export type HsmState = (typeof HSM_STATES)[number]

export const BACKUP_STATES = ['CREATE_IN_PROGRESS', 'READY', 'DELETED', 'PENDING_DELETION'] as const
export type BackupState = (typeof BACKUP_STATES)[number]

/** A copy of a backup to another region, as its source sees it. Not an AWS resource: no operation shows it. */
export const COPY_STATES = ['IN_PROGRESS', 'DONE', 'FAILED'] as const
export type CopyState = (typeof COPY_STATES)[number]

type Transitions<State extends string> = { readonly [From in State]: readonly State[] }

/**
 * INITIALIZE_IN_PROGRESS may fall back to UNINITIALIZED: when no HSM took the certificate before the deadline the user
 * must be able to try again.
 */
export const CLUSTER_TRANSITIONS = {
  CREATE_IN_PROGRESS: ['UNINITIALIZED', 'ACTIVE', 'DEGRADED'],
  UNINITIALIZED: ['INITIALIZE_IN_PROGRESS', 'DELETE_IN_PROGRESS'],
  INITIALIZE_IN_PROGRESS: ['INITIALIZED', 'UNINITIALIZED'],
  INITIALIZED: ['ACTIVE', 'DELETE_IN_PROGRESS'],
  ACTIVE: ['UPDATE_IN_PROGRESS', 'MODIFY_IN_PROGRESS', 'ROLLBACK_IN_PROGRESS', 'DEGRADED', 'DELETE_IN_PROGRESS'],
  UPDATE_IN_PROGRESS: ['ACTIVE', 'DEGRADED'],
  MODIFY_IN_PROGRESS: ['ACTIVE', 'ROLLBACK_IN_PROGRESS'],
  ROLLBACK_IN_PROGRESS: ['ACTIVE'],
  DEGRADED: ['ACTIVE', 'DELETE_IN_PROGRESS'],
  DELETE_IN_PROGRESS: ['DELETED'],
  DELETED: [],
} as const satisfies Transitions<ClusterState>

export const HSM_TRANSITIONS = {
  CREATE_IN_PROGRESS: ['ACTIVE', 'DEGRADED', 'DELETE_IN_PROGRESS'],
  // At once DELETED: another HSM takes its place, in a swap of the HSM type or because it was lost.
  ACTIVE: ['DEGRADED', 'DELETE_IN_PROGRESS', 'DELETED'],
  DEGRADED: ['ACTIVE', 'DELETE_IN_PROGRESS', 'DELETED'],
  DELETE_IN_PROGRESS: ['DELETED', 'DEGRADED'],
  DELETED: [],
} as const satisfies Transitions<HsmState>

export const BACKUP_TRANSITIONS = {
  CREATE_IN_PROGRESS: ['READY', 'DELETED'],
  READY: ['PENDING_DELETION'],
  PENDING_DELETION: ['READY', 'DELETED'],
  DELETED: [],
} as const satisfies Transitions<BackupState>

export const COPY_TRANSITIONS = {
  IN_PROGRESS: ['DONE', 'FAILED'],
  DONE: [],
  FAILED: [],
} as const satisfies Transitions<CopyState>

/** States in which a job is (or should be) at work: the reconciler looks for these. */
export const TRANSITIONAL_STATES = {
  cluster: [
    'CREATE_IN_PROGRESS',
    'INITIALIZE_IN_PROGRESS',
    'MODIFY_IN_PROGRESS',
    'ROLLBACK_IN_PROGRESS',
    'DELETE_IN_PROGRESS',
  ],
  hsm: ['CREATE_IN_PROGRESS', 'DELETE_IN_PROGRESS'],
  backup: ['CREATE_IN_PROGRESS'],
  copy: ['IN_PROGRESS'],
} as const
