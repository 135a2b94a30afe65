/**
 * Who an HSM is: a device key that it made itself and that never leaves it, certified by the manufacturer CA and by the
 * provider CA. The device certificate serves TLS on the peer and management ports and signs the HsmCertificate.
 */
import { createPrivateKey, generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { hsmUri } from '../../../provider-schema/party-names.ts'
import { HSM_FILES, type HsmConfig } from '../../../provider-schema/hsm-directory.ts'
import type { RecordStore } from '../vault/record-store.ts'
import { HOW_TO_RECOVER } from '../vault/seal.ts'
import { makeRequest, samePublicKey } from './certificate.ts'
import { readIfThere, writeWhole } from './files.ts'
import { certificatesOf, hsmOf, issued } from './trust.ts'

/** Name of the device key among what the store keeps for this HSM alone. */
const DEVICE_KEY = 'device/key'
/** As above, of the certificates that the host brought. */
const DEVICE_CHAINS = 'device/chains'
/** How long between two looks for the certificate: often at first, when a host is about to bring it. */
const SOON_MS = 20
const LATER_MS = 250
const SOON_FOR_MS = 10_000

export interface Device {
  readonly hsmId: string
  readonly key: KeyObject
  /** Issued by the manufacturer CA. */
  readonly certificate: X509Certificate
  /** What TLS wants: the key and the chain up to the manufacturer CA, PEM. */
  readonly tls: { readonly key: string; readonly cert: string }
}

/** A certificate chain of the device does not fit the device: the message says which file and why. */
export class DeviceCertificateWrong extends Error {}

/**
 * The device identity of an HSM directory. Makes the device key at the first start; while there is no certificate for it,
 * leaves a request in `device.csr` and waits for the host to bring `provider.pem` and `device.pem`. What was brought is kept
 * sealed: files that are damaged or gone later are written anew. Throws DeviceCertificateWrong when they are not for this
 * HSM, and the signal's reason when it fires.
 */
export async function deviceIdentity(options: {
  readonly directory: string
  readonly config: Pick<HsmConfig, 'hsmId' | 'trust'>
  readonly local: RecordStore['local']
  readonly signal: AbortSignal
  readonly warn?: (details: object, text: string) => void
}): Promise<Device> {
  const { directory, config, local, warn } = options
  const key = await deviceKey(local)
  const paths = {
    device: join(directory, HSM_FILES.deviceChain),
    provider: join(directory, HSM_FILES.providerChain),
  }
  const checked = ({ device, provider }: Chains): Device => {
    checkChain(paths.provider, provider, key, config)
    const certificate = checkChain(paths.device, device, key, config)
    return { hsmId: config.hsmId, key, certificate, tls: { key: pemOf(key), cert: device } }
  }
  const kept = keptChains(local)
  const found = await chainsIn(paths)
  if (!kept) {
    const brought = found ?? (await broughtChains(key, paths, options))
    const device = checked(brought)
    await local.put(DEVICE_CHAINS, Buffer.from(JSON.stringify(brought)))
    return device
  }
  try {
    if (found) return checked(found)
  } catch (error) {
    warn?.({ reason: String(error) }, 'the device certificate is damaged')
  }
  const device = checked(kept)
  warn?.({ ...paths }, 'the device certificate is written anew from what the HSM keeps sealed')
  // On a full disk the next start does it.
  await writeWhole(paths.provider, kept.provider).catch(() => undefined)
  await writeWhole(paths.device, kept.device).catch(() => undefined)
  return device
}

/** PEM: each the device's certificate and then its CA's. */
const chains = z.object({ device: z.string(), provider: z.string() })
type Chains = z.infer<typeof chains>

function keptChains(local: RecordStore['local']): Chains | undefined {
  const kept = local.get(DEVICE_CHAINS)
  return kept && chains.parse(JSON.parse(Buffer.from(kept).toString('utf8')))
}

async function chainsIn(paths: Chains): Promise<Chains | undefined> {
  const device = await readIfThere(paths.device)
  const provider = await readIfThere(paths.provider)
  return device === undefined || provider === undefined ? undefined : { device, provider }
}

/** Leaves a request and waits for the host. */
async function broughtChains(
  key: KeyObject,
  paths: Chains,
  { directory, config: { hsmId }, signal, warn }: Parameters<typeof deviceIdentity>[0],
): Promise<Chains> {
  const request = makeRequest({ subject: [['CN', hsmId]], key, uri: hsmUri(hsmId) })
  await writeWhole(join(directory, HSM_FILES.deviceCsr), request)
  const since = performance.now()
  for (let isLate = false; ;) {
    await sleep(isLate ? LATER_MS : SOON_MS, undefined, { signal })
    const found = await chainsIn(paths)
    if (found) return found
    if (isLate || performance.now() - since < SOON_FOR_MS) continue
    isLate = true
    warn?.({ ...paths }, 'waits for its device certificate, which the host is to bring')
  }
}

async function deviceKey(local: RecordStore['local']): Promise<KeyObject> {
  const kept = local.get(DEVICE_KEY)
  if (kept) return createPrivateKey({ key: Buffer.from(kept), format: 'der', type: 'pkcs8' })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await local.put(DEVICE_KEY, privateKey.export({ format: 'der', type: 'pkcs8' }))
  return privateKey
}

/** The first certificate of a chain, if it certifies this HSM's key and the chain leads to the fleet root. */
function checkChain(
  path: string,
  chain: string,
  key: KeyObject,
  { hsmId, trust }: Pick<HsmConfig, 'hsmId' | 'trust'>,
): X509Certificate {
  const wrong = (why: string) => new DeviceCertificateWrong(`${path}: ${why}. ${HOW_TO_RECOVER}`)
  const certificates = readable(chain)
  if (!certificates) throw wrong('it holds no certificate that can be read')
  const [certificate] = certificates
  if (!samePublicKey(certificate.publicKey, key)) throw wrong('the certificate is for another key')
  if (hsmOf(certificate) !== hsmId) throw wrong(`the certificate is not for ${hsmId}`)
  if (!certificate.ca) throw wrong('the certificate may not sign the HsmCertificate')
  const line = [...certificates, new X509Certificate(trust.root)]
  for (const [i, link] of line.entries()) {
    const issuer = line[i + 1]
    if (issuer && !link.raw.equals(issuer.raw) && !issued(issuer, link)) {
      throw wrong('the chain does not lead to the root of the fleet')
    }
  }
  return certificate
}

function readable(chain: string) {
  try {
    return certificatesOf(chain)
  } catch {
    return undefined
  }
}

function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' })
}
