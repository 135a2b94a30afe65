/** The numbers of an RSA key from outside: OpenSSL takes them as they are, and works around wrong ones at each use. */
import type { KeyObject, webcrypto } from 'node:crypto'
import { HsmError } from '../protocol/errors.ts'

/** What a modulus must not have a factor below (NIST SP 800-89 §5.3.3, with the bound of OpenSSL's own FIPS check). */
const SMALLEST_FACTOR = 752
const SMALL_PRIMES = primesBelow(SMALLEST_FACTOR)

/** Throws InvalidRequest for a modulus that is none, and for a private key whose numbers do not belong together. */
export function requireSoundRsa(key: KeyObject): void {
  const jwk = key.export({ format: 'jwk' })
  const modulus = numberOf(jwk.n)
  if (SMALL_PRIMES.some((prime) => modulus % prime === 0n)) {
    throw new HsmError('InvalidRequest', 'the modulus is even or has a small factor (NIST SP 800-89 section 5.3.3)')
  }
  if (key.type === 'private' && !belongTogether(jwk)) {
    throw new HsmError(
      'InvalidRequest',
      'the numbers of the private key do not belong together (NIST SP 800-56B rev. 2 section 6.4.1.2.3)',
    )
  }
}

function belongTogether({ n, e, d, p, q, dp, dq, qi }: webcrypto.JsonWebKey): boolean {
  const [modulus, open, secret, first, second] = [numberOf(n), numberOf(e), numberOf(d), numberOf(p), numberOf(q)]
  const isInverse = (prime: bigint, part: bigint) =>
    prime > 1n && part === secret % (prime - 1n) && (open * part) % (prime - 1n) === 1n
  return (
    first * second === modulus &&
    first !== second &&
    isInverse(first, numberOf(dp)) &&
    isInverse(second, numberOf(dq)) &&
    numberOf(qi) < first &&
    (numberOf(qi) * second) % first === 1n
  )
}

const numberOf = (text: string | undefined): bigint =>
  BigInt(`0x0${Buffer.from(text ?? '', 'base64url').toString('hex')}`)

function primesBelow(limit: number): bigint[] {
  const primes: number[] = []
  for (let n = 2; n < limit; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes.map(BigInt)
}
