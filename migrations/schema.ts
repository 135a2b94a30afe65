/**
 * The tables of one region, the whole of what is stored. Numbered SQL files in `sql/` are generated from it (`npm run
 * migration`) and never edited afterwards; `migrate.ts` applies them. Each subject has a file in `tables/`; drizzle-kit, and
 * whoever reads and writes rows, sees all of them here.
 *
 * No column holds a key, a password or a PIN. Certificates and certificate requests are public.
 */
export { audit } from './tables/audit.ts'
export { backups, copies } from './tables/backups.ts'
export { clusterChanges, clusters } from './tables/clusters.ts'
export { fleet } from './tables/fleet.ts'
export { hostOrders, hosts } from './tables/hosts.ts'
export { hsmHealth, hsms } from './tables/hsms.ts'
export { identity } from './tables/identity.ts'
export { jobWorkers } from './tables/job-workers.ts'
export { serviceClock } from './tables/service-clock.ts'
export { subnets } from './tables/subnets.ts'
