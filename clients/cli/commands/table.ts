/** Every command there is. A new one is a file beside this one and a line here. */
import type { Command } from '../command.ts'
import { clusterActivate } from './cluster-activate.ts'
import { clusterHsmInfo } from './cluster-hsm-info.ts'
import { clusterMtls } from './cluster-mtls.ts'
import { cryptoSign } from './crypto-sign.ts'
import { cryptoVerify } from './crypto-verify.ts'
import { keyDelete } from './key-delete.ts'
import { keyGenerateFile } from './key-generate-file.ts'
import { keyGeneratePairEc } from './key-generate-pair-ec.ts'
import { keyGeneratePairRsa } from './key-generate-pair-rsa.ts'
import { keyGenerateSymmetricAes } from './key-generate-symmetric-aes.ts'
import { keyList } from './key-list.ts'
import { login } from './login.ts'
import { logout } from './logout.ts'
import { userChangePassword } from './user-change-password.ts'
import { userCreate } from './user-create.ts'
import { userDelete } from './user-delete.ts'
import { userList } from './user-list.ts'

export const COMMANDS: readonly Command[] = [
  clusterActivate,
  clusterHsmInfo,
  ...clusterMtls,
  login,
  logout,
  userCreate,
  userList,
  userDelete,
  userChangePassword,
  keyGenerateSymmetricAes,
  keyGeneratePairRsa,
  keyGeneratePairEc,
  keyList,
  keyDelete,
  keyGenerateFile,
  ...cryptoSign,
  ...cryptoVerify,
]

/** What the words above the commands stand for. */
export const GROUPS: Readonly<Record<string, string>> = {
  cluster: 'The cluster and its HSMs',
  'cluster mtls': 'Certificates of clients',
  user: 'The users of the cluster',
  key: 'Keys',
  'key generate-symmetric': 'Generate a symmetric key',
  'key generate-asymmetric-pair': 'Generate a key pair',
  crypto: 'Use keys',
  'crypto sign': 'Sign data',
  'crypto verify': 'Verify a signature',
}
