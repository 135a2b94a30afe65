/** The part of `docs/protocol.md` that says how much an HSM takes, from the constants that it keeps to. */
import { MANAGEMENT_CONNECTIONS } from '../management-port/serve.ts'
import { DATA_CAPS } from '../mechanisms/data-caps.ts'
import { MAX_CHAIN_BYTES } from '../mtls/anchor.ts'
import { MAX_ANCHORS } from '../mtls/mtls.ts'
import { CAPACITY } from '../policy/hsm-types.ts'
import { MAX_CIPHER_BYTES, MAX_MESSAGE_BYTES } from '../protocol/client/crypto.ts'
import { PART_LIMITS } from '../protocol/client/multi-part.ts'
import { MAX_KEY_BYTES } from '../protocol/client/transfer.ts'
import { DERIVED_SIZES } from '../protocol/key-sizes.ts'
import { MAX_TOKENS } from '../quorum/token-store.ts'
import { TOKEN_LIFETIME_SECONDS } from '../protocol/quorum.ts'
import { MAX_FAILURES } from '../vault/lockout.ts'
import { LOGIN_LIMITS } from '../vault/login-throttle.ts'
import { number } from './shapes.ts'

export function limits(): string {
  const { freeFailures, firstDelayMs, longestDelayMs, forgetMs, waiting } = LOGIN_LIMITS
  const types = Object.entries(CAPACITY).map(
    ([type, { users, keys, asymmetricKeys }]) =>
      `| \`${type}\` | ${number(users)} | ${number(keys)} | ${number(asymmetricKeys)} |`,
  )
  const caps = Object.entries(DATA_CAPS).map(([mechanism, bytes]) => `| \`${mechanism}\` | ${number(bytes)} |`)
  return `## Limits

What goes beyond one of these is refused with \`LimitExceeded\`, unless another code is named.

### What a cluster holds

Each half of a pair is a key and an asymmetric key; session keys count.

| HSM type | users | keys | of these asymmetric |
|---|---|---|---|
${types.join('\n')}

${number(MAX_ANCHORS)} mTLS trust anchors, each of ${number(MAX_CHAIN_BYTES)} bytes of PEM (\`CertificateInvalid\` beyond); ${number(MAX_TOKENS)} quorum tokens on an HSM, each
for ${number(TOKEN_LIFETIME_SECONDS)} s. The management port takes ${number(MANAGEMENT_CONNECTIONS)} connections and
closes one more at once.

### Logins

- The ${ordinal(MAX_FAILURES + 1)} failure in a row locks the account on that HSM: \`UserLocked\`, until the password is changed. A success
  begins the count anew. Each HSM counts for itself.
- ${number(freeFailures.user)} failures of a user and ${number(freeFailures.address)} from an address cost no delay. After one more the next attempt waits
  ${number(firstDelayMs)} ms, after each further one twice as long, ${number(longestDelayMs)} ms at most; every ${number(forgetMs / 1000)} s one failure is forgotten.
- ${number(waiting.all)} logins may wait at once, ${number(waiting.user)} of a user and ${number(waiting.address)} from an address; one more is refused with \`Busy\`.

### Data of one request

The most bytes in \`data\` of \`sign\`, \`verify\`, \`encrypt\` and \`decrypt\`, and of one \`part-update\`. \`decrypt\` takes one block
more for padding, the tag for \`aes-gcm\`, IV and tag for \`cloudhsm-aes-gcm\`.

| mechanism | bytes |
|---|---|
${caps.join('\n')}

What the shapes bound is refused with \`InvalidRequest\`: all other signatures, and digests, take ${number(MAX_MESSAGE_BYTES)} bytes; RSA encryption what its padding leaves of the modulus. No cipher
gives or takes more than ${number(MAX_CIPHER_BYTES)} bytes. A key that is imported has ${number(MAX_KEY_BYTES)} bytes at most, one that is derived
${number(DERIVED_SIZES.min)} at least.

### Data in parts

${number(PART_LIMITS.operations)} operations may be under way on one connection, each with ${number(PART_LIMITS.bytes)} bytes in all. One that gets no part for
${number(PART_LIMITS.idleMs / 1000)} s is given up: \`WrongState\`.
`
}

const ordinal = (count: number) => `${count}th`
