/** Runs the tools as their users do: as processes, through the shims in bin/. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ToolOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
}

/** A home of the tools' own, so that tests see no configuration of anybody's; `dispose` removes it. */
export function toolHome() {
  const home = mkdtempSync(join(tmpdir(), 'strongroom-cli-'))
  const inherited = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(AWS_|CLOUDHSM_|NODE_)/.test(name)),
  )
  const run = (
    tool: 'cloudhsm-cli' | 'configure-cli',
    args: readonly string[],
    { env, input = '' }: ToolOptions = {},
  ) =>
    new Promise<Outcome>((resolve, reject) => {
      const child = spawn(join(import.meta.dirname, '../../../bin', tool), args, {
        env: { ...inherited, CLOUDHSM_HOME: home, ...env },
      })
      let stdout = ''
      let stderr = ''
      child.stdout.on('data', (text: Buffer) => (stdout += text.toString()))
      child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
      child.on('error', reject)
      child.on('close', (code) => resolve({ code, stdout, stderr }))
      child.stdin.on('error', () => undefined)
      child.stdin.end(input)
    })
  return {
    home,
    cli: (args: readonly string[], options?: ToolOptions) => run('cloudhsm-cli', args, options),
    configure: (args: readonly string[], options?: ToolOptions) => run('configure-cli', args, options),
    [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }),
  }
}
