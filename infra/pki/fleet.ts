/**
 * The fleet: what all regions share (design §4, §6). Four CAs and the key that seals backups, in one directory:
 *
 *   root.{pem,key}              signed the three below; its key is needed again only to replace one of them
 *   manufacturer-ca.{pem,key}   certifies the device key of every HSM; HSMs know each other by it
 *   provider-ca.{pem,key}       certifies the same keys in the role of "AWS hardware"
 *   control-ca.{pem,key}        certifies API, jobs, hosts and regions
 *   backup.key                  32 bytes; only HSM processes ever open it
 *   identity.key                32 bytes; seals access keys and temporary credentials (identity/identity-key-file.ts)
 */
import { createPrivateKey, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { IDENTITY_KEY_BYTES } from '../../api/identity/identity-key.ts'
import { syncDirectory } from '../files/durable.ts'
import { isAlive } from '../processes/identity.ts'
import { codeOf } from '../trouble.ts'
import { issueCertificate, nameOf, type Issuer } from './certificate.ts'

const AUTHORITIES = {
  root: { commonName: 'Strongroom Fleet Root CA', pathLength: 2 },
  /** Below it: an HSM's device certificate, and below that the certificate the device signs over its cluster's key. */
  'manufacturer-ca': { commonName: 'Strongroom Manufacturer CA', pathLength: 1 },
  'provider-ca': { commonName: 'Strongroom Provider CA', pathLength: 1 },
  'control-ca': { commonName: 'Strongroom Control CA', pathLength: 0 },
} as const
export type Authority = keyof typeof AUTHORITIES

const BACKUP_KEY = 'backup.key'
const BACKUP_KEY_BYTES = 32
export const IDENTITY_KEY_FILE = 'identity.key'
const VALID_YEARS = 20

/** The public side of a fleet, PEM, and where the rest lies. Holds no secret. */
export interface Fleet {
  readonly dir: string
  readonly root: string
  readonly manufacturerCa: string
  readonly providerCa: string
  readonly controlCa: string
  /** Path; not opened here. */
  readonly backupKeyFile: string
}

/**
 * Opens a fleet; makes it first when there is none. Whole or not at all: it is written beside its place and renamed. A
 * directory that lacks a part is refused and never completed, since what it certified or sealed could not be verified
 * or opened any more.
 */
export async function openFleet(dir: string): Promise<Fleet> {
  if (!(await exists(dir))) await makeFleet(dir)
  const certificate = async (name: Authority) => (await part(dir, `${name}.pem`)).toString()
  const [root, manufacturerCa, providerCa, controlCa] = await Promise.all([
    certificate('root'),
    certificate('manufacturer-ca'),
    certificate('provider-ca'),
    certificate('control-ca'),
  ])
  const backupKeyFile = join(dir, BACKUP_KEY)
  const size = (await stat(backupKeyFile).catch((cause: unknown) => missing(dir, BACKUP_KEY, cause))).size
  if (size !== BACKUP_KEY_BYTES) throw new Error(`${backupKeyFile} is ${size} bytes long, not ${BACKUP_KEY_BYTES}`)
  return { dir, root, manufacturerCa, providerCa, controlCa, backupKeyFile }
}

/** One CA with its private key. Whoever needs one CA loads that one only. */
export async function loadAuthority(fleet: Pick<Fleet, 'dir'>, name: Authority): Promise<Issuer> {
  const file = join(fleet.dir, `${name}.key`)
  const [certificate, pem] = await Promise.all([part(fleet.dir, `${name}.pem`), part(fleet.dir, `${name}.key`)])
  if (((await stat(file)).mode & 0o007) !== 0) {
    throw new Error(`${file} is open to every user of this machine; mend it with: chmod 600 ${file}`)
  }
  try {
    return { certificate: certificate.toString(), key: createPrivateKey(pem) }
  } finally {
    pem.fill(0)
  }
}

async function makeFleet(dir: string): Promise<void> {
  const parent = dirname(dir)
  await mkdir(parent, { recursive: true, mode: 0o700 })
  await removeAbandoned(parent, basename(dir))
  const draft = join(parent, `${basename(dir)}.new-${process.pid}`)
  await mkdir(draft, { mode: 0o700 })
  try {
    const files = newFleet()
    await Promise.all(Object.entries(files).map(([name, content]) => writeOnce(join(draft, name), content)))
    await syncDirectory(draft)
    // Fails when there is a fleet by now: another process was faster, and its fleet is the one.
    await rename(draft, dir).catch(async (error: unknown) => {
      if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error
      await rm(draft, { recursive: true })
    })
    await syncDirectory(parent)
  } catch (cause) {
    await rm(draft, { recursive: true, force: true })
    throw new Error(`the fleet could not be made in ${dir}`, { cause })
  }
}

/** Contents by file name. */
function newFleet(): Record<string, string | Buffer> {
  const notBefore = new Date(Date.now() - 3_600_000)
  const notAfter = new Date(notBefore)
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + VALID_YEARS)
  const files: Record<string, string | Buffer> = {
    [BACKUP_KEY]: randomBytes(BACKUP_KEY_BYTES),
    [IDENTITY_KEY_FILE]: randomBytes(IDENTITY_KEY_BYTES),
  }
  const make = (name: Authority, root?: Issuer): Issuer => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
    const { commonName, pathLength } = AUTHORITIES[name]
    const request = { subject: nameOf(commonName), publicKey, notBefore, notAfter, pathLength }
    const certificate = issueCertificate(request, root ?? { selfSigned: privateKey })
    files[`${name}.pem`] = certificate
    files[`${name}.key`] = pkcs8(privateKey)
    return { certificate, key: privateKey }
  }
  const root = make('root')
  make('manufacturer-ca', root)
  make('provider-ca', root)
  make('control-ca', root)
  return files
}

function pkcs8(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' })
}

async function writeOnce(path: string, content: string | Buffer): Promise<void> {
  const file = await open(path, 'wx', path.endsWith('.pem') ? 0o644 : 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Drafts of processes that died over them: they hold keys that nobody uses. */
async function removeAbandoned(parent: string, name: string): Promise<void> {
  for (const entry of await readdir(parent)) {
    const pid = entry.startsWith(`${name}.new-`) ? Number(entry.slice(name.length + '.new-'.length)) : Number.NaN
    if (!Number.isInteger(pid) || (pid !== process.pid && (await isAlive(pid)))) continue
    await rm(join(parent, entry), { recursive: true, force: true })
  }
}

function part(dir: string, name: string): Promise<Buffer> {
  return readFile(join(dir, name)).catch((cause: unknown) => missing(dir, name, cause))
}

function missing(dir: string, name: string, cause: unknown): never {
  throw new Error(`the fleet in ${dir} cannot be used: ${name} cannot be read; restore it from a copy of the fleet`, {
    cause,
  })
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if (codeOf(error) === 'ENOENT') return false
      throw error
    },
  )
}
