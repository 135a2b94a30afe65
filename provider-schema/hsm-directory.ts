/**
 * An HSM's directory, where it meets the host that runs it: the files that both know, and what the HSM process is told at
 * its start. That holds no secret; secrets lie in files of mode 0600 whose paths stand there.
 */
import { z } from 'zod'
import { KEY_SEPARATIONS } from './key-separation.ts'

/** Names of the files that the host and the HSM share. */
export const HSM_FILES = {
  /** This configuration. Written by the host. */
  config: 'hsm.json',
  /** The device key's certificate request (PEM). Written by the HSM when it has no certificate. */
  deviceCsr: 'device.csr',
  /** The device certificate by the manufacturer CA, then that CA (PEM). Written by the host; the HSM waits for it. */
  deviceChain: 'device.pem',
  /** The same key certified by the provider CA, then that CA (PEM). Written by the host before `deviceChain`. */
  providerChain: 'provider.pem',
  /** `{ pid, identity }` of each process that the host started and that may not have ended. Written by the host. */
  started: 'started.json',
  /** `{ pid, startedAt, version }`, written by the HSM once it listens; removed when it stops by itself. */
  running: 'running.json',
  /**
   * Why this HSM cannot come back from what is in its directory, as text. Written by the HSM, removed by it when it comes
   * back after all.
   */
  refused: 'refused',
  /** Says that the HSM was zeroised; it never holds anything again. Written by the HSM. */
  zeroised: 'zeroised',
  /** Standard output and error of the process. */
  log: 'hsm.log',
} as const

/** The configuration: one JSON file, written by the host. */
export const hsmConfig = z.strictObject({
  hsmId: z.string(),
  hsmType: z.string(),
  /** The address to listen on, and what the API shows for it. */
  address: z.string(),
  eniIp: z.string(),
  ports: z.strictObject({ client: z.number(), peer: z.number(), management: z.number() }),
  /** Trust, as PEM: control CA for the management port, manufacturer CA for peers, the root for everything else. */
  trust: z.strictObject({ root: z.string(), controlCa: z.string(), manufacturerCa: z.string() }),
  /** Path of the fleet backup key: 32 bytes, mode 0600. */
  fleetBackupKeyFile: z.string(),
  /** Which uses of a key exclude each other; the same on every HSM of a cluster. */
  keySeparation: z.enum(KEY_SEPARATIONS).optional(),
})
export type HsmConfig = z.infer<typeof hsmConfig>
