/** The AWS CLI of this machine, and why a test has to do without it. */
import { spawnSync } from 'node:child_process'

export interface AwsCli {
  /** Why there is none; undefined when there is one. */
  readonly missing: string | undefined
  /** Why it cannot say what CloudHSM can since 2024 (Mode, NetworkType, resource policies); undefined when it can. */
  readonly old: string | undefined
  /** Whether it goes where AWS_ENDPOINT_URL says; an older one must be told with each command. */
  readonly knowsEndpointUrl: boolean
}

/** Debian 12's AWS CLI is of 2022: it says no more of CloudHSM than the API of 2019 had. */
export function awsCli(): AwsCli {
  const { error, stdout } = spawnSync('aws', ['--version'], { encoding: 'utf8' })
  if (error) {
    const missing = 'the AWS CLI is not installed'
    return { missing, old: missing, knowsEndpointUrl: false }
  }
  const asked = spawnSync('aws', ['cloudhsmv2', 'get-resource-policy', '--generate-cli-skeleton'], { stdio: 'ignore' })
  const [version] = stdout.split(' ')
  return {
    missing: undefined,
    old: asked.status === 0 ? undefined : `${version} does not know CloudHSM as of 2024`,
    knowsEndpointUrl: isAtLeast(version, { 1: 29, 2: 13 }),
  }
}

/** Of `aws-cli/2.9.19`, by the minor version that is wanted of each major one. */
function isAtLeast(version: string | undefined, wanted: Readonly<Record<string, number>>): boolean {
  const [, major = '', minor = ''] = /^aws-cli\/(\d+)\.(\d+)/.exec(version ?? '') ?? []
  const least = wanted[major]
  return least !== undefined && Number(minor) >= least
}
