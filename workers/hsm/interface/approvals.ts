/** The part of `docs/protocol.md` that says what users sign, for approvals (M of N) and for logins. */
import { MAX_SIGNATURES } from '../protocol/client/quorum.ts'
import {
  encodeTokenRecord,
  hsmNumber,
  MAX_QUORUM_VALUE,
  MAX_TOKEN_RECORDS,
  NONCE_BYTES,
  QUORUM_SERVICES,
  TOKEN_LIFETIME_SECONDS,
  TOKEN_RECORD_BYTES,
  tokenOf,
  isKeyService,
  type QuorumService,
  type TokenRecord,
} from '../protocol/quorum.ts'
import { MAX_KEY_TOKENS_OF_USER, MAX_TOKENS } from '../quorum/token-store.ts'
import { EXPONENTS, MODULUS_BITS } from '../vault/token-sign.ts'
import { hexOf, number } from './shapes.ts'

const SAMPLE: TokenRecord = {
  service: 'user',
  hsmId: 'hsm-aaaaaaaaaaa',
  nonce: Buffer.alloc(NONCE_BYTES, 0x11),
  username: 'alice',
  unixSeconds: 1_700_000_000,
}

export function approvals(): string {
  const record = encodeTokenRecord(SAMPLE)
  const rows = QUORUM_SERVICES.map((service) => `| \`${service}\` | ${codes(service)} |`)
  return `## What users sign

### Public keys and signatures

\`publicKey\` is DER of SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) with the algorithm \`rsaEncryption\`: RSA with a modulus of
${number(MODULUS_BITS)} bits and an odd public exponent from ${EXPONENTS.min} to ${EXPONENTS.max}, in \`user-change-mfa\` as in
\`user-register-quorum-key\`. A user has one such key: the one for logins and the one for approvals are the same, or only one is
registered. Every signature is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2), ${number(MODULUS_BITS / 8)} bytes. Where below a
*digest* is signed, that SHA-256 was computed already: it is put into the DigestInfo as it is (\`openssl pkeyutl -sign -pkeyopt
digest:sha256\`).

### Logins with a signed token

\`mfa-token-generate\` gives \`token\`, a SHA-256 digest, good for ${number(TOKEN_LIFETIME_SECONDS)} s, once, on this connection and for
this user only. The user signs that digest; the signature is \`mfaSignature\` of \`login\`, or \`registration.signature\` of
\`user-change-mfa\`, made with the key that is to be registered. Each HSM has a token of its own, so a client signs one for each
HSM that it logs in on; registering is done on one of them.

### Approvals by several users

1. On the connections that it is logged in on, a client asks **every** HSM of the cluster for its record with
   \`quorum-token-generate\`: ${number(TOKEN_RECORD_BYTES)} bytes each.
2. \`approvalData\` is these records one behind the other, nothing between them, ${number(MAX_TOKEN_RECORDS)} at most. Their order is the
   client's choice, but for the first: the HSM whose record stands first is the one on which the token can be spent.
3. The token is SHA-256 of \`approvalData\`. Each approving user signs the token as the digest, which is the same as signing
   \`approvalData\` with SHA-256.
4. The client hands \`approvalData\` and all signatures (${number(MAX_SIGNATURES)} at most) to every one of those HSMs with
   \`quorum-approve\`, on the connection that the HSM's record was made for. \`spendable\` is true on the first one's.
5. It asks that HSM, on that connection, for the operation; nothing of the approvals goes with it. Success spends the token,
   refusal does not.
6. On the other HSMs it gives the token up with \`quorum-token-drop\`.

An operation with two keys of quorum values (\`key-wrap\`) takes a token for each. A threshold is 2 to ${number(MAX_QUORUM_VALUE)} users;
whoever asked may sign too. Admins approve admin services; the owner of a key and those it is shared with approve what is done
with the key. A token lasts ${number(TOKEN_LIFETIME_SECONDS)} s from when its record was made, ends with the login and when HSMs join or leave,
and a newer one of the same user for the same admin service takes its place. An HSM holds ${number(MAX_TOKENS)}, of which
${number(MAX_KEY_TOKENS_OF_USER)} of one user for keys.

A key for approvals is registered on one HSM: the user signs the record of a token for the service \`registration\` with SHA-256
and hands record, public key and signature to \`user-register-quorum-key\` on the same connection.

### The record of an HSM

${number(TOKEN_RECORD_BYTES)} bytes, numbers big-endian. A client takes it as it comes; only the HSM's number tells it something.

| offset | bytes | content |
|---|---|---|
| 0 | 2 | class: 1 for admin services and registration, 2 for key services |
| 2 | 2 | service, see below |
| 4 | 4 | the HSM's number: the first 4 bytes of SHA-256 of its \`hsmId\`. Two HSMs may share one |
| 8 | 8 | handle of the key; 0 for admin services and registration |
| 16 | ${NONCE_BYTES} | the HSM's nonce |
| ${16 + NONCE_BYTES} | 32 | name of the user who asked, UTF-8, with NULs behind it |
| ${48 + NONCE_BYTES} | 8 | when, in seconds since 1970 |
| ${56 + NONCE_BYTES} | 8 | 0 |

| service | class, service |
|---|---|
${rows.join('\n')}

The record of \`${SAMPLE.hsmId}\` (number ${hsmNumber(SAMPLE.hsmId)}) for the service \`${SAMPLE.service}\`, asked for by \`${SAMPLE.username}\`:

\`\`\`
${hexOf(record)}
\`\`\`

The token, were it the only record:

\`\`\`
${hexOf(tokenOf(record))}
\`\`\`

### How a list of members is signed

\`document\` is the UTF-8 JSON of a MembershipDocument, byte for byte as it was signed: verify before parsing, and keep the bytes.
\`signature\` is ECDSA with SHA-384 over these bytes, DER of its two integers (RFC 3279 §2.2.3), by the key of the first
certificate in \`chain\` (PEM, the signer's first), which the control CA issued to a part of the control plane: its subject
alternative name is a URI \`urn:strongroom:control:…\`. An HSM takes a document of its own cluster with a higher \`epoch\` than the
one it has; what is older changes nothing.
`
}

/** As records have them. */
function codes(service: QuorumService): string {
  const record = encodeTokenRecord({ ...SAMPLE, service, ...(isKeyService(service) && { handle: '0x1' }) })
  return `${record.readUInt16BE(0)}, ${record.readUInt16BE(2)}`
}
