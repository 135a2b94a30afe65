/** The `strongroom` command. */
import { Command, Option } from 'commander'
import { DEFAULT_PORT } from './configuration/configuration.ts'
import type {
  AuditListFlags,
  AuditShowFlags,
  AuditVerifyFlags,
  DataFlag,
  DoctorFlags,
  LogsFlags,
  RegionFlags,
  StatusFlags,
  UpFlags,
} from './command/flags.ts'
import { Trouble } from './trouble.ts'
import { VERSION } from './version.ts'

const DATA = 'data directory (default: $STRONGROOM_DATA, else strongroom in the place for your application data)'

const program = new Command('strongroom')
  .description(
    'A self-hosted, AWS CloudHSM v2 compatible service with software HSMs that really hold keys.\n' +
      'Software: it has no FIPS certificate.',
  )
  .version(VERSION)
  .showHelpAfterError('(strongroom --help tells what there is)')

/** Each command's code is loaded when it is used: a start should not wait for the others. */
program
  .command('up')
  .description('start everything and stay; Ctrl-C stops it, the next start has it all again')
  .option('--data <dir>', DATA)
  .option('--port <n>', `port of the endpoint (default: ${DEFAULT_PORT}; 0: any free one)`)
  .option('--listen <address>', 'address of the endpoint (default: 127.0.0.1; another needs access keys of your own)')
  .option('--regions <names>', 'regions, by commas (default: those that the data directory has, else us-east-1)')
  .option('--config <file>', 'configuration (default: strongroom.json in the data directory)')
  .option('--ephemeral', 'keep nothing: a data directory that is removed at the end')
  .option('--detach', 'return when it is ready; "strongroom down" ends it')
  .addHelpText('after', '\nA PostgreSQL server of your own: STRONGROOM_DATABASE_URL=postgres://user:password@host/name')
  .action(async (flags: UpFlags) => (await import('./command/up.ts')).up(flags))

program
  .command('down')
  .description('stop everything of a data directory, HSMs included; what they hold is on disk')
  .option('--data <dir>', DATA)
  .action(async (flags: DataFlag) => (await import('./command/down.ts')).down(flags))

program
  .command('status')
  .description('what runs: regions, database, HSM processes')
  .option('--data <dir>', DATA)
  .option('--json', 'for programs')
  .action(async (flags: StatusFlags) => (await import('./command/status.ts')).status(flags))

program
  .command('logs')
  .description('what was logged, in order; of all, or of one: strongroom, postgres, a region, an HSM')
  .argument('[name]')
  .option('--data <dir>', DATA)
  .option('-f, --follow', 'go on as it is written')
  .option('-n, --lines <n>', 'how many of the last lines of each', '100')
  .option('--json', 'as it stands in the files')
  .action(async (name: string | undefined, flags: LogsFlags) => (await import('./command/logs.ts')).logs(name, flags))

program
  .command('doctor')
  .description('look for what is wrong, and tell how to mend it')
  .option('--data <dir>', DATA)
  .option('--port <n>', 'port that shall be used')
  .action(async (flags: DoctorFlags) => (await import('./command/doctor.ts')).doctor(flags))

const audit = program.command('audit').description('what was done to users and keys, as the HSMs wrote it down')

audit
  .command('list')
  .description('the logs there are, by cluster and HSM')
  .option('--data <dir>', DATA)
  .option('--json', 'for programs')
  .action(async (flags: AuditListFlags) => (await import('./command/audit.ts')).auditList(flags))

audit
  .command('show')
  .description('events, oldest first')
  .option('--data <dir>', DATA)
  .option('--cluster <id>', 'of one cluster')
  .option('--hsm <id>', 'of one HSM')
  .option('-n, --lines <n>', 'how many of the last events', '20')
  .option('--json', 'as they stand in the files')
  .action(async (flags: AuditShowFlags) => (await import('./command/audit.ts')).auditShow(flags))

audit
  .command('verify')
  .description(
    'find any line that was removed, altered, moved or inserted; needs only the files and the root certificate',
  )
  .argument('[file...]', 'files of one HSM, or the directory with them; default: all that were delivered')
  .option('--data <dir>', DATA)
  .option('--cluster <id>', 'of one cluster')
  .option('--hsm <id>', 'of one HSM')
  .option('--root <file>', "the fleet's root certificate (default: fleet/root.pem in the data directory)")
  .option('--from <n>', 'number of the first event that is to be there: older files were removed on purpose')
  .option('--head <hash>', 'the head that an earlier verify printed: it must still be in the log')
  .action(async (files: string[], flags: AuditVerifyFlags) =>
    (await import('./command/audit.ts')).auditVerify(files, flags),
  )

program
  .command('region')
  .description('run one region, or a part of it, in this process, on a PostgreSQL server of your own')
  .requiredOption('--region <name>', 'the region')
  .option('--data <dir>', DATA)
  .option('--port <n>', 'port of the API')
  .option('--listen <address>', 'address of the API')
  .option('--config <file>', 'configuration')
  .option('--peer-port <n>', 'port for other regions (default: any free one)')
  .addOption(new Option('--roles <names>', 'api, jobs or both, by commas').default('api,jobs'))
  .addHelpText('after', '\nNeeds STRONGROOM_DATABASE_URL, or databaseUrl in the configuration.')
  .action(async (flags: RegionFlags) => (await import('./command/region.ts')).region(flags))

process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)
try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = 1
  if (error instanceof Trouble) {
    process.stderr.write(`strongroom: ${error.message}\n${error.mend === undefined ? '' : `  ${error.mend}\n`}`)
  } else {
    process.stderr.write(`strongroom: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  }
}
