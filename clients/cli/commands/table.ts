/** Every command there is. A new one is a file beside this one and a line here. */
import { approvable } from '../approval.ts'
import type { Command } from '../command.ts'
import { clusterActivate } from './cluster-activate.ts'
import { clusterHsmInfo } from './cluster-hsm-info.ts'
import { clusterMtls } from './cluster-mtls.ts'
import { cryptoSign } from './crypto-sign.ts'
import { cryptoVerify } from './crypto-verify.ts'
import { keyDelete } from './key-delete.ts'
import { keyGenerateFile } from './key-generate-file.ts'
import { keyGeneratePairEc } from './key-generate-pair-ec.ts'
import { keyGeneratePairMlDsa } from './key-generate-pair-ml-dsa.ts'
import { keyGeneratePairRsa } from './key-generate-pair-rsa.ts'
import { keyGenerateSymmetricAes } from './key-generate-symmetric-aes.ts'
import { keyGenerateSymmetricGenericSecret } from './key-generate-symmetric-generic-secret.ts'
import { keyImportPem } from './key-import-pem.ts'
import { keyList } from './key-list.ts'
import { keySetAttribute } from './key-set-attribute.ts'
import { keySharing } from './key-share.ts'
import { keyUnwrap } from './key-unwrap.ts'
import { keyWrap } from './key-wrap.ts'
import { login } from './login.ts'
import { loginMfa } from './login-mfa.ts'
import { logout } from './logout.ts'
import { quorumGenerate, quorumLists, quorumSetValue } from './quorum.ts'
import { userChangeMfa } from './user-change-mfa.ts'
import { userChangePassword } from './user-change-password.ts'
import { userChangeQuorum } from './user-change-quorum.ts'
import { userCreate } from './user-create.ts'
import { userDelete } from './user-delete.ts'
import { userList } from './user-list.ts'

export const COMMANDS: readonly Command[] = [
  clusterActivate,
  clusterHsmInfo,
  ...clusterMtls.map((each) => (isApproved(each) ? approvable(each) : each)),
  login,
  loginMfa,
  logout,
  approvable(userCreate),
  userList,
  approvable(userDelete),
  approvable(userChangePassword),
  approvable(userChangeMfa),
  userChangeQuorum,
  quorumGenerate,
  approvable(quorumSetValue),
  ...quorumLists,
  keyGenerateSymmetricAes,
  keyGenerateSymmetricGenericSecret,
  keyGeneratePairRsa,
  keyGeneratePairEc,
  keyGeneratePairMlDsa,
  keyList,
  keyDelete,
  keyGenerateFile,
  ...keySharing.map((each) => approvable(each)),
  approvable(keySetAttribute),
  keyImportPem,
  ...keyWrap.map((each) => approvable(each, ['wrapping-approval', 'payload-approval'])),
  ...keyUnwrap.map((each) => approvable(each)),
  ...cryptoSign.map((each) => approvable(each)),
  ...cryptoVerify,
]

/** Of the commands for client certificates those that change something. */
function isApproved({ path }: Command): boolean {
  return /^(register|deregister|set)-/.test(path.at(-1) ?? '')
}

/** What the words above the commands stand for. */
export const GROUPS: Readonly<Record<string, string>> = {
  cluster: 'Activate the cluster, list its HSMs, set which client certificates it trusts',
  'cluster mtls': 'mTLS: which client certificates are trusted, and whether clients must show one',
  user: 'Make, list, change and delete users of the HSMs',
  'user change-mfa': 'Have a user sign a token at each login, besides the password; or no longer',
  'user change-quorum': 'Set the key that a user signs approvals with',
  'user change-quorum token-sign': 'Register the key that a user signs approvals with',
  quorum: 'Have several users approve of an operation (M of N)',
  'quorum token-sign': 'Tokens that users sign to approve, and how many must',
  key: 'Make, find, change, share, move and delete keys',
  'key generate-symmetric': 'Generate a symmetric key',
  'key generate-asymmetric-pair': 'Generate a key pair',
  'key import': 'Import a public key',
  'key wrap': 'Take a key out, encrypted with another',
  'key unwrap': 'Bring in a key that is encrypted with another',
  crypto: 'Sign and verify',
  'crypto sign': 'Sign data',
  'crypto verify': 'Verify a signature',
}
