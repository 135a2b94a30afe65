/**
 * Passwords hashed at no cost, for HSMs whose time is simulated: scrypt runs on threads, which keep to no clock but the
 * machine's. Each password has one salt, so that its hash tells which it is.
 */
import { createHash } from 'node:crypto'
import type { SimulatedClock } from '../../replication/testing/simulated-clock.ts'
import { LOGIN_LIMITS, LoginThrottle } from '../login-throttle.ts'
import type { PasswordHash, Passwords } from '../passwords.ts'

/** About what scrypt takes. */
const LONGEST_MS = 60

export function cheapHash(password: string): PasswordHash {
  const digest = createHash('sha256').update(password).digest()
  return { n: 16_384, r: 8, p: 1, salt: digest.subarray(0, 16), hash: digest }
}

export function cheapPasswords(clock: SimulatedClock): Passwords {
  const takesTime = () => clock.sleep(clock.random() * LONGEST_MS)
  return {
    async hash(password) {
      await takesTime()
      return cheapHash(password)
    },
    async check(password, stored) {
      await takesTime()
      return stored !== undefined && Buffer.from(stored.hash).equals(cheapHash(password).hash)
    },
  }
}

/** The product's limits in simulated time. */
export function simulatedThrottle(clock: SimulatedClock): LoginThrottle {
  return new LoginThrottle(LOGIN_LIMITS, { now: () => clock.now, sleep: (ms) => clock.sleep(ms) })
}
