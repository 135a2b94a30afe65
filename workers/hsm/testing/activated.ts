/** A cluster of one real HSM process whose users are there: the admin `admin` and the crypto user `alice`. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Connection } from '../protocol/connection.ts'
import { startCluster, type TestCluster } from './process.ts'

export const ADMIN = { username: 'admin', role: 'admin', password: 'admin-secret-1' } as const
export const ALICE = { username: 'alice', role: 'crypto-user', password: 'alice-secret-1' } as const

/** As `startCluster`; the caller disposes of it. */
export async function activatedCluster(options?: Parameters<typeof startCluster>[0]): Promise<TestCluster> {
  const cluster = await startCluster(options)
  try {
    const admin = await cluster.first.client(cluster.customer.certificate)
    await admin.call('activate', { password: ADMIN.password })
    await admin.call('login', ADMIN)
    await admin.call('user-create', ALICE)
    await admin.close()
    return cluster
  } catch (error) {
    await cluster.first.dispose()
    throw error
  }
}

/** A connection on which alice is logged in. */
export async function aliceOn({ first, customer }: TestCluster): Promise<Connection<ClientOperations>> {
  const client = await first.client(customer.certificate)
  await client.call('login', ALICE)
  return client
}
