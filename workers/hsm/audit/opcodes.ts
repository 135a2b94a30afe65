/**
 * What AWS's audit log calls things, with their numbers (data-plane reference §6.5). Numbers from 0x8000 on are this
 * project's own: AWS lists those names without a number, or has no such command.
 */
export const OPCODES = {
  CN_INIT_TOKEN: 0x1,
  CN_CREATE_USER: 0x3,
  CN_CREATE_CO: 0x4,
  CN_CHANGE_PSWD: 0x9,
  CN_LOGIN: 0xd,
  CN_LOGOUT: 0xe,
  CN_DESTROY_OBJECT: 0x11,
  CN_SHARE_OBJECT: 0x12,
  CN_GENERATE_KEY: 0x17,
  CN_GENERATE_KEY_PAIR: 0x19,
  CN_WRAP_KEY: 0x1a,
  CN_UNWRAP_KEY: 0x1b,
  CN_GEN_PSWD_ENC_KEY: 0x1d,
  CN_NIST_AES_WRAP: 0x1e,
  CN_INIT_DONE: 0x95,
  CN_DELETE_USER: 0xa1,
  CN_EXTRACT_MASKED_OBJECT_USER: 0xf0,
  CN_INSERT_MASKED_OBJECT_USER: 0xf1,
  CN_CREATE_APPLIANCE_USER: 0xfc,
  CN_ENCRYPT_SESSION_V2: 0x107,
  // Named by AWS, numbered here.
  CN_APP_FINALIZE: 0x8001,
  CN_CLOSE_SESSION: 0x8002,
  CN_SET_M_VALUE: 0x8003,
  CN_APPROVE_TOKEN: 0x8004,
  CN_DELETE_TOKEN: 0x8005,
  CN_GET_TOKEN: 0x8006,
  CN_CREATE_OBJECT: 0x8007,
  CN_MODIFY_OBJECT: 0x8008,
  CN_TOMBSTONE_OBJECT: 0x8009,
  CN_DERIVE_KEY: 0x800a,
  CN_BACKUP_BEGIN: 0x800b,
  CN_BACKUP_END: 0x800c,
  CN_RESTORE_BEGIN: 0x800d,
  CN_RESTORE_END: 0x800e,
  CN_CERT_AUTH_STORE_CERT: 0x800f,
  CN_GEN_KEY_ENC_KEY: 0x8010,
  CN_ZEROIZE: 0x8011,
  // Without a name at AWS.
  SR_CHANGE_MFA: 0x8101,
  SR_REGISTER_QUORUM_KEY: 0x8102,
  SR_MTLS_REGISTER_TRUST_ANCHOR: 0x8103,
  SR_MTLS_DEREGISTER_TRUST_ANCHOR: 0x8104,
  SR_MTLS_SET_ENFORCEMENT: 0x8105,
  SR_READ_KEY_VALUE: 0x8106,
  SR_PEER_CHANGE: 0x8107,
  SR_PEER_HEAD: 0x8108,
} as const satisfies Record<string, number>
export type Opcode = keyof typeof OPCODES

/** `CN_CERT_AUTH_CMD` for what concerns certificates, `CN_MGMT_CMD` for everything else. */
export const COMMAND_TYPES = { CN_MGMT_CMD: 0x0, CN_CERT_AUTH_CMD: 0x9 } as const

export const LOG_TYPES = { MINIMAL_LOG_ENTRY: 0, MGMT_KEY_DETAILS_LOG: 1, MGMT_USER_DETAILS_LOG: 2 } as const

/** Roles of data-plane §1.1 as the log names them. */
export const USER_TYPES = {
  'crypto-user': 'CN_CRYPTO_USER (1)',
  admin: 'CN_CRYPTO_OFFICER (2)',
  'internal(APPLIANCE_USER)': 'CN_APPLIANCE_USER (5)',
  'unactivated-admin': 'CN_CRYPTO_PRE_OFFICER (6)',
} as const satisfies Record<string, string>
export type AuditedRole = keyof typeof USER_TYPES

const CERTIFICATE_OPCODES: readonly Opcode[] = ['CN_CERT_AUTH_STORE_CERT']

export function commandTypeOf(opcode: Opcode): keyof typeof COMMAND_TYPES {
  return CERTIFICATE_OPCODES.includes(opcode) ? 'CN_CERT_AUTH_CMD' : 'CN_MGMT_CMD'
}
