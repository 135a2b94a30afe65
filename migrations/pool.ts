/** Connections to PostgreSQL whose breaking ends no process. */
import { Pool, type PoolConfig } from 'pg'

/** Connects when first used. `onError` hears of connections that broke while nobody used them. */
export function openPool(config: PoolConfig, onError: (error: Error) => void = () => undefined): Pool {
  const pool = new Pool(config)
  pool.on('error', onError)
  // One that breaks while it is in use tells whoever waits for an answer; nobody else need hear of it.
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}
