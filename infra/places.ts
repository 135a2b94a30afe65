/** What lies where in a data directory. */
export const PLACES = {
  /** The operator's configuration, if there is one. */
  configuration: 'strongroom.json',
  /** Who runs on this directory. */
  lock: 'lock',
  /** What runs, for `status` and `down`. */
  instance: 'instance.json',
  logs: 'logs',
  /** The embedded PostgreSQL. */
  postgres: 'postgres',
  /** CAs and the backup key, shared by all regions. */
  fleet: 'fleet',
  /** One directory for each region. */
  regions: 'regions',
} as const
