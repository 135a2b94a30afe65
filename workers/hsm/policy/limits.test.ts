import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HASHES } from '../protocol/mechanisms.ts'
import { requireRoomForKeys, requireRoomForUser } from './hsm-types.ts'
import { requireEcdsaDigest } from './modes.ts'

const one = { keys: 1, asymmetricKeys: 0 }
const pair = { keys: 2, asymmetricKeys: 2 }
const capacity = [
  ['hsm1.medium', { keys: 3_299, asymmetricKeys: 0 }, one, true],
  ['hsm1.medium', { keys: 3_300, asymmetricKeys: 0 }, one, false],
  ['hsm1.medium', { keys: 3_298, asymmetricKeys: 3_298 }, pair, true],
  ['hsm1.medium', { keys: 3_299, asymmetricKeys: 3_299 }, pair, false],
  ['hsm2m.medium', { keys: 16_665, asymmetricKeys: 0 }, one, true],
  ['hsm2m.medium', { keys: 16_666, asymmetricKeys: 0 }, one, false],
  ['hsm2m.medium', { keys: 3_331, asymmetricKeys: 3_331 }, pair, true],
  ['hsm2m.medium', { keys: 3_332, asymmetricKeys: 3_332 }, pair, false],
] as const
for (const [type, held, adding, fits] of capacity) {
  test(`an ${type} with ${held.keys} keys (${held.asymmetricKeys} asymmetric) takes ${adding.keys} more: ${fits}`, () => {
    const ask = () => requireRoomForKeys(type, held, adding)
    if (fits) ask()
    else assert.throws(ask, { code: 'LimitExceeded' })
  })
}

for (const [type, users, fits] of [
  ['hsm1.medium', 249, true],
  ['hsm1.medium', 250, false],
  ['hsm2m.medium', 1_023, true],
  ['hsm2m.medium', 1_024, false],
] as const) {
  test(`a cluster of ${type} with ${users} users takes one more: ${fits}`, () => {
    const ask = () => requireRoomForUser(type, users)
    if (fits) ask()
    else assert.throws(ask, { code: 'LimitExceeded' })
  })
}

const strongEnough = { 'P-256': ['sha256', 'sha384', 'sha512'], 'P-384': ['sha384', 'sha512'] } as const
for (const [curve, hashes] of Object.entries(strongEnough) as [keyof typeof strongEnough, readonly string[]][]) {
  for (const hash of HASHES) {
    const allowed = hashes.includes(hash)
    test(`ECDSA on ${curve} with ${hash} is ${allowed ? 'allowed' : 'refused'} in FIPS mode, allowed otherwise`, () => {
      requireEcdsaDigest('NON_FIPS', hash, curve)
      if (allowed) requireEcdsaDigest('FIPS', hash, curve)
      else assert.throws(() => requireEcdsaDigest('FIPS', hash, curve), { code: 'MechanismInvalid' })
    })
  }
}
