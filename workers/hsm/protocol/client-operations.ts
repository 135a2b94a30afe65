/**
 * The client port (2223): what an application or a person asks of an HSM. TLS 1.3; the server shows the cluster
 * certificate that the customer's CA signed (before InitializeCluster: its device certificate).
 *
 * A login belongs to the connection it came on and ends with it, together with its session keys (data-plane §1.4).
 */
import { z } from 'zod'
import type { OperationTable } from './envelope.ts'
import {
  attributeTemplate,
  bytes,
  CURVES,
  keyFilter,
  keyHandle,
  keyInfo,
  member,
  password,
  role,
  signMechanism,
  userInfo,
  username,
} from './values.ts'

/** Bytes of the longest message to sign or verify; data-plane §4 gives hash-then-sign no cap, a frame has one. */
export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024
/** Published cap of AES-GCM (data-plane §4). */
export const MAX_GCM_BYTES = 16_224

const none = z.strictObject({})

/**
 * `requireTwoCopies` is the client's key-availability check (data-plane §6.1): with it a token key is made or used
 * only when at least two HSMs hold it; else NotEnoughCopies, and a key just made is undone.
 */
const requireTwoCopies = z.boolean().default(true)

export const clientOperations = {
  /** First request of a connection. Anyone. */
  hello: {
    params: z.strictObject({ client: z.string().max(128), protocol: z.literal(1) }),
    result: z.object({
      protocol: z.literal(1),
      hsmId: z.string(),
      clusterId: z.string(),
      hsmType: z.string(),
      mode: z.enum(['FIPS', 'NON_FIPS']),
      activated: z.boolean(),
      /** Every HSM of the cluster, this one included. A change is told by the event `members`. */
      members: z.array(member),
    }),
  },
  /** Sets the first admin's password; only while the cluster was never activated. Anyone. */
  activate: { params: z.strictObject({ password }), result: none },
  /** LoginFailed, UserLocked. A connection that is logged in must log out first. */
  login: {
    params: z.strictObject({ username, role, password: z.string().max(64) }),
    result: z.object({ username: z.string(), role }),
  },
  logout: { params: none, result: none },
  /** Strings as `cluster hsm-info` prints them, by its names. Anyone. */
  'hsm-info': { params: none, result: z.record(z.string(), z.string()) },

  'user-list': { params: none, result: z.object({ users: z.array(userInfo) }) },
  'user-create': {
    params: z.strictObject({ username, role, password }),
    result: z.object({ username: z.string(), role }),
  },
  'user-delete': { params: z.strictObject({ username, role }), result: z.object({ username: z.string(), role }) },
  'user-change-password': {
    params: z.strictObject({ username, role, password }),
    result: z.object({ username: z.string(), role }),
  },

  'key-generate-aes': {
    params: z.strictObject({
      lengthBytes: z.union([z.literal(16), z.literal(24), z.literal(32)]),
      attributes: attributeTemplate,
      requireTwoCopies,
    }),
    result: z.object({ key: keyInfo }),
  },
  'key-generate-rsa': {
    params: z.strictObject({
      modulusBits: z
        .number()
        .int()
        .min(2048)
        .max(4096)
        .refine((bits) => bits % 256 === 0, 'a modulus has 2048 to 4096 bits in steps of 256'),
      publicExponent: z
        .number()
        .int()
        .min(65537)
        .max(0xffffffff)
        .refine((e) => e % 2 === 1, 'a public exponent is odd'),
      publicAttributes: attributeTemplate,
      privateAttributes: attributeTemplate,
      requireTwoCopies,
    }),
    result: z.object({ publicKey: keyInfo, privateKey: keyInfo }),
  },
  'key-generate-ec': {
    params: z.strictObject({
      curve: z.enum(CURVES),
      publicAttributes: attributeTemplate,
      privateAttributes: attributeTemplate,
      requireTwoCopies,
    }),
    result: z.object({ publicKey: keyInfo, privateKey: keyInfo }),
  },
  /** Own keys, keys shared with the caller and all public keys, in ascending order of handle. */
  'key-find': {
    params: z.strictObject({
      filter: keyFilter,
      offset: z.number().int().min(0).default(0),
      limit: z.number().int().min(1).max(1000).default(1000),
    }),
    result: z.object({ keys: z.array(keyInfo), total: z.number() }),
  },
  'key-delete': { params: z.strictObject({ handle: keyHandle }), result: none },
  /** The public half as DER SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), of a public or private key. */
  'key-public': { params: z.strictObject({ handle: keyHandle }), result: z.object({ spki: bytes(16_384) }) },

  sign: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: signMechanism,
      data: bytes(MAX_MESSAGE_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ signature: bytes(1024) }),
  },
  verify: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: signMechanism,
      data: bytes(MAX_MESSAGE_BYTES),
      signature: bytes(1024),
      requireTwoCopies,
    }),
    result: z.object({ valid: z.boolean() }),
  },
  /** AES-GCM; the HSM makes the 12-byte IV (data-plane §4). `ciphertext` ends in the tag. */
  encrypt: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: z.strictObject({
        name: z.literal('aes-gcm'),
        aad: bytes(MAX_GCM_BYTES).optional(),
        tagBits: z.union([z.literal(96), z.literal(104), z.literal(112), z.literal(120), z.literal(128)]).default(128),
      }),
      data: bytes(MAX_GCM_BYTES),
      requireTwoCopies,
    }),
    result: z.object({ iv: bytes(16), ciphertext: bytes(MAX_GCM_BYTES + 16) }),
  },
  /** DecryptionFailed when the tag does not fit. */
  decrypt: {
    params: z.strictObject({
      handle: keyHandle,
      mechanism: z.strictObject({
        name: z.literal('aes-gcm'),
        iv: bytes(16, 1),
        aad: bytes(MAX_GCM_BYTES).optional(),
        tagBits: z.union([z.literal(96), z.literal(104), z.literal(112), z.literal(120), z.literal(128)]).default(128),
      }),
      data: bytes(MAX_GCM_BYTES + 16),
      requireTwoCopies,
    }),
    result: z.object({ plaintext: bytes(MAX_GCM_BYTES) }),
  },
  random: {
    params: z.strictObject({ length: z.number().int().min(1).max(65_536) }),
    result: z.object({ bytes: bytes(65_536) }),
  },
} as const satisfies OperationTable

export type ClientOperations = typeof clientOperations

/** Events that the client port sends unasked. */
export const clientEvents = { members: z.object({ members: z.array(member) }) } as const
