/** The `strongroom` command. */
import { Command, Option } from 'commander'
import { DEFAULT_PORT } from './configuration/configuration.ts'
import { addAccountCommands } from './command/account.ts'
import type {
  AuditListFlags,
  AuditShowFlags,
  AuditVerifyFlags,
  ClockFlags,
  DataFlag,
  DoctorFlags,
  HostFlags,
  HsmListFlags,
  LogsFlags,
  RegionFlags,
  StatusFlags,
  TrailFlags,
  UpFlags,
} from './command/flags.ts'
import { Trouble } from './trouble.ts'
import { VERSION } from './version.ts'

const DATA = 'data directory (default: $STRONGROOM_DATA, else strongroom in the place for your application data)'

const ALLOW_HSM1 = 'offer hsm1.medium for new clusters, to rehearse the change of a cluster to hsm2m.medium'
const PACE = 'how long transitions take: instant (default), aws, or a fraction of that, e.g. 0.01'
const REHEARSAL = 'let "strongroom clock advance" move the clock that retention and other long times follow'

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
  .option('--pace <pace>', PACE)
  .option('--rehearsal', REHEARSAL)
  .option('--ephemeral', 'keep nothing: a data directory that is removed at the end')
  .option('--allow-hsm1', ALLOW_HSM1)
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

const clockCommand = program
  .command('clock')
  .description('the clock that retention, daily backups and other long times follow')

clockCommand
  .command('show', { isDefault: true })
  .description('what time it is in each region, and how far that is ahead')
  .option('--data <dir>', DATA)
  .option('--json', 'for programs')
  .action(async (flags: ClockFlags) => (await import('./command/clock.ts')).showClock(flags))

clockCommand
  .command('advance')
  .description('move it ahead in all regions of the data directory, for good; needs a start with --rehearsal')
  .argument('<duration>', 'e.g. 8d, 36h, 1d12h, 90m')
  .option('--data <dir>', DATA)
  .option('--json', 'for programs')
  .action(async (duration: string, flags: ClockFlags) =>
    (await import('./command/clock.ts')).advanceClock(duration, flags),
  )

program
  .command('trail')
  .description('who asked what of which resource, and how it ended: the audit trail of the API')
  .option('--data <dir>', DATA)
  .option('--region <name>', 'the region (default: the first)')
  .option('--config <file>', 'configuration (default: strongroom.json in the data directory)')
  .option('--since <when>', 'only what is younger: 30m, 12h, 7d, or a date as 2026-11-24T12:00Z')
  .option('--event-name <name>', 'only this operation, e.g. CreateHsm')
  .option('--resource <id>', 'only what names this cluster, HSM or backup')
  .option('-n, --limit <n>', 'how many of the newest (default: 50; of an export: all)')
  .option('-f, --follow', 'go on as calls are made')
  .option('--json', "events in CloudTrail's shape, one a line")
  .option('--export <file>', 'write them to a file that is not there yet, one JSON object a line, oldest first')
  .action(async (flags: TrailFlags) => (await import('./command/trail.ts')).trail(flags))

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

const hsm = program.command('hsm').description('the HSMs of a data directory')

hsm
  .command('list')
  .description('HSMs, whether they run, and where they listen')
  .option('--data <dir>', DATA)
  .option('--json', 'for programs')
  .action(async (flags: HsmListFlags) => (await import('./command/hsm.ts')).listHsms(flags))

hsm
  .command('tamper')
  .description('trip the tamper response of an HSM: its keys are destroyed at once, and the service replaces it')
  .argument('<hsm-id>')
  .option('--data <dir>', DATA)
  .addHelpText('after', '\nOf the only HSM of a cluster, what was written since the newest backup is lost for good.')
  .action(async (id: string, flags: DataFlag) => (await import('./command/hsm.ts')).tamper(id, flags))

program
  .command('region')
  .description('run one region, or a part of it, in this process, on a PostgreSQL server of your own')
  .requiredOption('--region <name>', 'the region')
  .option('--data <dir>', DATA)
  .option('--port <n>', 'port of the API')
  .option('--listen <address>', 'address of the API')
  .option('--config <file>', 'configuration')
  .option('--pace <pace>', PACE)
  .option('--rehearsal', REHEARSAL)
  .option('--peer-port <n>', 'port for other regions (default: any free one)')
  .option('--allow-hsm1', ALLOW_HSM1)
  .addOption(new Option('--roles <names>', 'api, jobs or both, by commas').default('api,jobs'))
  .option('--no-hsms', 'place no HSM on this machine: "strongroom host" runs them on others')
  .addHelpText('after', '\nNeeds STRONGROOM_DATABASE_URL, or databaseUrl in the configuration.')
  .action(async (flags: RegionFlags) => (await import('./command/region.ts')).region(flags))

program
  .command('host')
  .description('run HSMs of a region on this machine, one more; HSMs run on when it ends')
  .requiredOption('--region <name>', 'the region')
  .requiredOption(
    '--zones <names>',
    'availability zone that this machine stands in, e.g. us-east-1b; several by commas',
  )
  .option('--data <dir>', DATA)
  .option('--name <name>', 'name of this host, and best of its role in the database too (default: a random one, kept)')
  .option(
    '--addresses <list>',
    'addresses for HSMs, e.g. 10.0.3.10-10.0.3.60 (default: loopback, for this machine only)',
  )
  .option('--capacity <n>', 'how many HSMs it runs at most; each idles in some 80 MiB', '64')
  .option('--config <file>', 'configuration')
  .addHelpText(
    'after',
    `
Needs the region's database in STRONGROOM_DATABASE_URL, or databaseUrl in the configuration; and of the region's data
directory fleet/*.pem and fleet/backup.key, in the same place below --data. Nothing else: no key of a CA.

  STRONGROOM_DATABASE_URL=postgres://rack2:…@db/strongroom \
    strongroom host --region us-east-1 --zones us-east-1b --name rack2 --addresses 10.0.3.10-10.0.3.60

docs/hosts.md has it step by step.`,
  )
  .action(async (flags: HostFlags) => (await import('./command/host.ts')).host(flags))

addAccountCommands(program)

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
