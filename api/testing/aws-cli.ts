/** The AWS CLI of this machine, and why a test has to do without it. */
import { spawnSync } from 'node:child_process'

export interface AwsCli {
  /** Why there is none; undefined when there is one. */
  readonly missing: string | undefined
  /** Why it cannot say what CloudHSM can since 2024 (Mode, NetworkType, resource policies); undefined when it can. */
  readonly old: string | undefined
}

/** Debian 12's AWS CLI is of 2022: it says no more of CloudHSM than the API of 2019 had. */
export function awsCli(): AwsCli {
  const { error, stdout } = spawnSync('aws', ['--version'], { encoding: 'utf8' })
  if (error) return { missing: 'the AWS CLI is not installed', old: 'the AWS CLI is not installed' }
  const asked = spawnSync('aws', ['cloudhsmv2', 'get-resource-policy', '--generate-cli-skeleton'], { stdio: 'ignore' })
  const [version] = stdout.split(' ')
  return { missing: undefined, old: asked.status === 0 ? undefined : `${version} does not know CloudHSM as of 2024` }
}
