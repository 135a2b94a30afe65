/**
 * The JSON files that users sign (data-plane reference §5.1): tokens for approvals, for registering a key, and for logins.
 * Pure: text in, text out. What is read is bounded and must be exactly of its form.
 */
import { z } from 'zod'
import { MAX_SIGNATURES } from '../../workers/hsm/protocol/client/quorum.ts'
import {
  isKeyService,
  MAX_TOKEN_RECORDS,
  QUORUM_SERVICES,
  recordsIn,
  serviceIn,
  TOKEN_RECORD_BYTES,
  tokenOf,
  type QuorumService,
} from '../../workers/hsm/protocol/quorum.ts'
import { keyHandle, role, username, type Role } from '../../workers/hsm/protocol/values.ts'

const VERSION = '2.0'
/** Characters of the longest file. */
const MAX_FILE_CHARS = 262_144
const SIGNATURE_BYTES = 256
/** Published bound of the data behind a registration token. */
const MAX_REGISTRATION_BYTES = 245

export type ApprovalService = Exclude<QuorumService, 'registration'>

/** Names that AWS's files have where its lists have others. Published is only that of `user`. */
const FILE_NAMES: Readonly<Record<ApprovalService, string>> = {
  user: 'user-management',
  quorum: 'quorum-management',
  cluster: 'cluster-management',
  'key-usage': 'key-usage',
  'key-management': 'key-management',
}

export interface SignedApproval {
  readonly username: string
  readonly role: Role
  readonly signature: Uint8Array
}

export interface ApprovalFile {
  readonly service: ApprovalService
  /** Of key services. */
  readonly handle: string | undefined
  readonly approvalData: Uint8Array
  readonly signatures: readonly SignedApproval[]
}

/** A token that an HSM gave for a login, and its signature. */
export interface SignedToken {
  readonly unsigned: Uint8Array
  readonly signed: Uint8Array
}

/** What is wrong with a file; `message` can be shown. */
export class TokenFileError extends Error {}

const binary = (max: number, min = 0) =>
  z
    .base64()
    .max(Math.ceil(max / 3) * 4)
    .transform((text) => Buffer.from(text, 'base64'))
    .refine((bytes) => bytes.length >= min && bytes.length <= max, `must be ${min} to ${max} bytes in base64`)

const token = binary(32, 32)
const signature = binary(SIGNATURE_BYTES, SIGNATURE_BYTES)

const approvalShape = z.strictObject({
  version: z.literal(VERSION),
  /** Files of 2023 do not name it. */
  service: z
    .string()
    .transform((name, context) => {
      const service = QUORUM_SERVICES.find((each) => each === name || FILE_NAMES[each as ApprovalService] === name)
      if (service !== undefined && service !== 'registration') return service
      context.addIssue('is no service that approvals are for')
      return z.NEVER
    })
    .optional(),
  key_reference: keyHandle.optional(),
  approval_data: binary(TOKEN_RECORD_BYTES * MAX_TOKEN_RECORDS, TOKEN_RECORD_BYTES),
  token,
  /** `role`: files of 2023 do not name it. */
  signatures: z.array(z.strictObject({ username, role: role.optional(), signature })).max(MAX_SIGNATURES),
})

const registrationShape = z.strictObject({
  version: z.literal(VERSION),
  tokens: z.tuple([
    z.strictObject({
      approval_data: binary(MAX_REGISTRATION_BYTES, TOKEN_RECORD_BYTES),
      unsigned: token,
      signed: signature,
    }),
  ]),
})

const loginShape = z.strictObject({
  version: z.literal(VERSION),
  tokens: z
    .array(z.strictObject({ unsigned: token, signed: signature }))
    .min(1)
    .max(MAX_TOKEN_RECORDS),
})

/** A token for approvals, not signed yet. `records` come from the HSMs; the first one's is where it can be spent. */
export function approvalFile(
  service: ApprovalService,
  handle: string | undefined,
  records: readonly Uint8Array[],
): string {
  const approvalData = Buffer.concat(records)
  return text({
    version: VERSION,
    service: FILE_NAMES[service],
    ...(handle !== undefined && { key_reference: handle }),
    approval_data: base64(approvalData),
    token: base64(tokenOf(approvalData)),
    signatures: [],
  })
}

/** A token for registering a key for approvals, not signed yet. */
export function registrationFile(record: Uint8Array): string {
  return text({
    version: VERSION,
    tokens: [{ approval_data: base64(record), unsigned: base64(tokenOf(record)), signed: '' }],
  })
}

/** Tokens for a login or for registering a key for logins, one for each HSM, not signed yet. */
export function loginFile(tokens: readonly Uint8Array[]): string {
  return text({ version: VERSION, tokens: tokens.map((unsigned) => ({ unsigned: base64(unsigned), signed: '' })) })
}

/** Throws TokenFileError. */
export function readApprovalFile(content: string): ApprovalFile {
  const file = read(approvalShape, content)
  requireTokenOf(file.approval_data, file.token)
  const [first] = recordsIn(file.approval_data) ?? []
  if (!first) throw new TokenFileError('approval_data is not made of records of 80 bytes')
  const service = file.service ?? serviceIn(first)
  if (service === undefined || service === 'registration') {
    throw new TokenFileError('the token is of no service that approvals are for')
  }
  if (isKeyService(service) !== (file.key_reference !== undefined)) {
    throw new TokenFileError('a token names a key if it is for a key service, and only then')
  }
  return {
    service,
    handle: file.key_reference,
    approvalData: file.approval_data,
    signatures: file.signatures.map((signed) => ({
      ...signed,
      role: signed.role ?? (isKeyService(service) ? 'crypto-user' : 'admin'),
    })),
  }
}

/** Throws TokenFileError. */
export function readRegistrationFile(content: string): { record: Uint8Array; signature: Uint8Array } {
  const [{ approval_data: record, unsigned, signed }] = read(registrationShape, content).tokens
  requireTokenOf(record, unsigned)
  return { record, signature: signed }
}

/** Throws TokenFileError. */
export function readLoginFile(content: string): SignedToken[] {
  return read(loginShape, content).tokens
}

/** Whoever changed the token would have users sign something else than the HSM looks at. */
function requireTokenOf(approvalData: Uint8Array, unsigned: Buffer): void {
  if (!tokenOf(approvalData).equals(unsigned)) throw new TokenFileError('the token is not the SHA-256 of approval_data')
}

function read<Shape extends z.ZodType>(shape: Shape, content: string): z.output<Shape> {
  if (content.length > MAX_FILE_CHARS) throw new TokenFileError('the token file is too long')
  let json: unknown
  try {
    json = JSON.parse(content)
  } catch {
    throw new TokenFileError('the token file is not JSON')
  }
  const parsed = shape.safeParse(json)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.slice(0, 3).map(({ path, message }) => `${path.join('.')}: ${message}`)
  throw new TokenFileError(`the token file is not as it must be: ${issues.join('; ')}`)
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
const text = (file: unknown) => `${JSON.stringify(file, null, 2)}\n`
