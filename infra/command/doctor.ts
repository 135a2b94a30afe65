/** `strongroom doctor`: looks for what would keep Strongroom from working, and says how to mend it. */
import { DEFAULT_PORT, type Configuration } from '../configuration/configuration.ts'
import { configuredDatabaseUrl } from '../configuration/database-url.ts'
import { dataDirectory, loadConfiguration } from '../configuration/load.ts'
import { Trouble, textOf } from '../trouble.ts'
import { checks, type Finding } from './checks.ts'
import type { DoctorFlags } from './flags.ts'

const MARKS = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' } as const

/** Exit code 1 when something must be mended. */
export async function doctor(flags: DoctorFlags): Promise<void> {
  const data = dataDirectory(flags.data)
  const configuration = await loadConfiguration({ data, port: flags.port }).catch(asError)
  if (configuration instanceof Error) {
    const { mend } = configuration instanceof Trouble ? configuration : { mend: undefined }
    print({
      what: 'configuration',
      verdict: 'fail',
      says: textOf(configuration),
      ...(mend === undefined ? {} : { mend }),
    })
    process.exitCode = 1
  }
  const port = configuration instanceof Error ? Number(flags.port ?? DEFAULT_PORT) : configuration.port
  const databases = configuration instanceof Error ? new Map<string, string>() : databasesOf(configuration)
  for (const check of checks({ data, port, databases })) {
    const finding = await check().catch((error: unknown) => failed(error))
    print(finding)
    if (finding.verdict === 'fail') process.exitCode = 1
  }
}

/** Those on a server of the operator's. */
function databasesOf(configuration: Configuration): Map<string, string> {
  const urls = configuration.regions.map((region) => [region, configuredDatabaseUrl(configuration, region)] as const)
  return new Map(urls.flatMap(([region, url]) => (url === undefined ? [] : [[region, url]])))
}

const asError = (thrown: unknown) => (thrown instanceof Error ? thrown : new Error(textOf(thrown)))

function failed(error: unknown): Finding {
  const { mend } = error instanceof Trouble ? error : { mend: undefined }
  return { what: 'check', verdict: 'fail', says: textOf(error), ...(mend === undefined ? {} : { mend }) }
}

function print({ what, verdict, says, mend }: Finding): void {
  process.stdout.write(`${MARKS[verdict]}  ${what.padEnd(14)} ${says}\n`)
  if (mend !== undefined && verdict !== 'ok') process.stdout.write(`${' '.repeat(21)}→ ${mend}\n`)
}
