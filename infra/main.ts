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
import { AS_JSON, CONFIG, DATA, pointToHelp } from './command/words.ts'
import { Trouble } from './trouble.ts'
import { VERSION } from './version.ts'

/** Under which headings the commands stand in the help. */
const ON_ONE_MACHINE = 'Run it on one machine:'
const LOOK = 'Look after it:'
const ON_SEVERAL = 'Run it on several machines, each with its part:'

const ALLOW_HSM1 = 'offer hsm1.medium for new clusters, to rehearse the change of a cluster to hsm2m.medium'
const PACE = 'how long transitions take: instant (default), aws, or a fraction of that, e.g. 0.01'
const REHEARSAL = 'let "strongroom clock advance" move the clock that retention and other long times follow'

const program = new Command('strongroom')
  .description(
    'A self-hosted, AWS CloudHSM v2 compatible service with software HSMs that really hold keys.\n' +
      'Software: it has no FIPS certificate.',
  )
  .version(VERSION, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'show this help')
  .commandsGroup('More:')
  .helpCommand('help [command]', 'Show help for a command')
  .addHelpText(
    'after',
    `
Begin with "strongroom up": it prints the endpoint, credentials and the first commands to try.
"strongroom <command> --help" tells what a command takes. README.md has a tour of five minutes; docs/ has the rest.
Users and keys are in the HSMs: "cloudhsm-cli --help".`,
  )

/** Each command's code is loaded when it is used: a start should not wait for the others. */
program
  .command('up')
  .helpGroup(ON_ONE_MACHINE)
  .description('Start everything and stay; Ctrl-C stops it, and the next start has it all again')
  .option('--data <dir>', DATA)
  .option('--port <n>', `port of the endpoint (default: ${DEFAULT_PORT}; 0: any free one)`)
  .option('--listen <address>', 'address of the endpoint (default: 127.0.0.1; another needs access keys of your own)')
  .option(
    '--regions <names>',
    'names of regions, separated by commas (default: those that the data directory has, else us-east-1)',
  )
  .option('--config <file>', CONFIG)
  .option('--pace <pace>', PACE)
  .option('--rehearsal', REHEARSAL)
  .option('--ephemeral', 'use a data directory of its own, and remove it at the end')
  .option('--allow-hsm1', ALLOW_HSM1)
  .option('--detach', 'run in the background: return when it is ready; "strongroom down" ends it')
  .addHelpText(
    'after',
    '\nA PostgreSQL server of your own instead of the one that comes with it:\n  STRONGROOM_DATABASE_URL=postgres://user:password@host/name strongroom up',
  )
  .action(async (flags: UpFlags) => (await import('./command/up.ts')).up(flags))

program
  .command('down')
  .helpGroup(ON_ONE_MACHINE)
  .description('Stop everything that runs on a data directory, HSMs included; what they hold stays on disk')
  .option('--data <dir>', DATA)
  .action(async (flags: DataFlag) => (await import('./command/down.ts')).down(flags))

program
  .command('status')
  .helpGroup(ON_ONE_MACHINE)
  .description('Show what runs: regions, database, HSM processes')
  .option('--data <dir>', DATA)
  .option('--json', AS_JSON)
  .action(async (flags: StatusFlags) => (await import('./command/status.ts')).status(flags))

program
  .command('logs')
  .helpGroup(ON_ONE_MACHINE)
  .description('Show what the processes logged, in the order of time')
  .argument('[name]', 'strongroom, postgres, console, the name of a region or the id of an HSM (default: all of them)')
  .option('--data <dir>', DATA)
  .option('-f, --follow', 'go on, and print what is logged from now on')
  .option('-n, --lines <n>', 'how many of the last lines of each log', '100')
  .option('--json', 'print lines as they stand in the files, for programs')
  .action(async (name: string | undefined, flags: LogsFlags) => (await import('./command/logs.ts')).logs(name, flags))

const clockCommand = program
  .command('clock')
  .helpGroup(LOOK)
  .description('Show or move the clock that retention, daily backups and other long times follow')

clockCommand
  .command('show', { isDefault: true })
  .description('Show what time it is in each region, and how far that is ahead (what "strongroom clock" does alone)')
  .option('--data <dir>', DATA)
  .option('--json', AS_JSON)
  .action(async (flags: ClockFlags) => (await import('./command/clock.ts')).showClock(flags))

clockCommand
  .command('advance')
  .description('Move it ahead in all regions, for good; needs a start with --rehearsal')
  .argument('<duration>', 'how far: days, hours and minutes, e.g. 8d, 36h, 1d12h, 90m')
  .option('--data <dir>', DATA)
  .option('--json', AS_JSON)
  .action(async (duration: string, flags: ClockFlags) =>
    (await import('./command/clock.ts')).advanceClock(duration, flags),
  )

program
  .command('trail')
  .helpGroup(LOOK)
  .description('Show the calls of the API: who asked what of which resource, and how it ended')
  .option('--data <dir>', DATA)
  .option('--region <name>', 'region whose calls to show (default: the first)')
  .option('--config <file>', CONFIG)
  .option('--since <when>', 'only calls since then: 30m, 12h or 7d ago, or a date as 2026-11-24T12:00Z')
  .option('--event-name <name>', 'only calls of this operation, e.g. CreateHsm')
  .option('--resource <id>', 'only calls that name this cluster, HSM or backup')
  .option('-n, --limit <n>', 'how many of the newest calls (default: 50; with --export: all)')
  .option('-f, --follow', 'go on, and print calls as they are made')
  .option('--json', "print events in CloudTrail's shape, one JSON object a line")
  .option('--export <file>', 'write them to a new file instead, one JSON object a line, oldest first')
  .action(async (flags: TrailFlags) => (await import('./command/trail.ts')).trail(flags))

program
  .command('doctor')
  .helpGroup(ON_ONE_MACHINE)
  .description('Look for what is wrong, and say how to mend it')
  .option('--data <dir>', DATA)
  .option(
    '--port <n>',
    'port that "strongroom up" is to use: whether it is free (default: the one of the configuration)',
  )
  .action(async (flags: DoctorFlags) => (await import('./command/doctor.ts')).doctor(flags))

const audit = program
  .command('audit')
  .helpGroup(LOOK)
  .description("Show and verify the HSMs' own logs of what was done to users and keys")

audit
  .command('list')
  .description('List the logs there are, by cluster and HSM')
  .option('--data <dir>', DATA)
  .option('--json', AS_JSON)
  .action(async (flags: AuditListFlags) => (await import('./command/audit.ts')).auditList(flags))

audit
  .command('show')
  .description('Show events of all logs together, or of some, oldest first')
  .option('--data <dir>', DATA)
  .option('--cluster <id>', 'only logs of this cluster')
  .option('--hsm <id>', 'only the log of this HSM')
  .option('-n, --lines <n>', 'how many of the newest events', '20')
  .option('--json', 'print lines as they stand in the files, for programs')
  .action(async (flags: AuditShowFlags) => (await import('./command/audit.ts')).auditShow(flags))

audit
  .command('verify')
  .description(
    'Find any line that was removed, altered, moved or inserted; needs only the files and the root certificate',
  )
  .argument('[file...]', 'files of one HSM, or directories, each of one HSM (default: all logs of the data directory)')
  .option('--data <dir>', DATA)
  .option('--cluster <id>', 'only logs of this cluster')
  .option('--hsm <id>', 'only the log of this HSM')
  .option('--root <file>', "the fleet's root certificate (default: fleet/root.pem in the data directory)")
  .option('--from <n>', 'number of the first event that must be there, when older files were removed on purpose')
  .option('--head <hash>', 'the head that an earlier "audit verify" printed: it must still be in the log')
  .action(async (files: string[], flags: AuditVerifyFlags) =>
    (await import('./command/audit.ts')).auditVerify(files, flags),
  )

const hsm = program.command('hsm').helpGroup(LOOK).description('List HSMs, or rehearse the loss of one')

hsm
  .command('list')
  .description('List HSMs, whether they run, and where they listen')
  .option('--data <dir>', DATA)
  .option('--json', AS_JSON)
  .action(async (flags: HsmListFlags) => (await import('./command/hsm.ts')).listHsms(flags))

hsm
  .command('tamper')
  .description('Trip the tamper response of an HSM: its keys are destroyed at once, and the service replaces it')
  .argument('<hsm-id>', 'e.g. hsm-abcdefghijk')
  .option('--data <dir>', DATA)
  .addHelpText('after', '\nOf the only HSM of a cluster, what was written since the newest backup is lost for good.')
  .action(async (id: string, flags: DataFlag) => (await import('./command/hsm.ts')).tamper(id, flags))

program
  .command('region')
  .helpGroup(ON_SEVERAL)
  .description('Run one region, or a part of it, on a PostgreSQL server of your own')
  .requiredOption('--region <name>', 'name of the region (required)')
  .option('--data <dir>', DATA)
  .option('--port <n>', `port of the API (default: ${DEFAULT_PORT})`)
  .option('--listen <address>', 'address of the API (default: 127.0.0.1; another needs access keys of your own)')
  .option('--config <file>', CONFIG)
  .option('--pace <pace>', PACE)
  .option('--rehearsal', REHEARSAL)
  .option('--peer-port <n>', 'port on which other regions reach this one (default: any free one)')
  .option('--allow-hsm1', ALLOW_HSM1)
  .addOption(new Option('--roles <names>', 'which part: api, jobs, or both, separated by commas').default('api,jobs'))
  .option('--no-hsms', 'run no HSM on this machine: others do, with "strongroom host"')
  .addHelpText('after', '\nNeeds STRONGROOM_DATABASE_URL, or databaseUrl in the configuration.')
  .action(async (flags: RegionFlags) => (await import('./command/region.ts')).region(flags))

program
  .command('host')
  .helpGroup(ON_SEVERAL)
  .description('Make this machine run HSMs of a region; they run on when this command ends')
  .requiredOption('--region <name>', 'name of the region (required)')
  .requiredOption(
    '--zones <names>',
    'availability zone that this machine stands in, e.g. us-east-1b; several separated by commas (required)',
  )
  .option('--data <dir>', DATA)
  .option(
    '--name <name>',
    'name of this host; its role in the database should have the same (default: a random one, kept)',
  )
  .option(
    '--addresses <list>',
    'addresses for HSMs, e.g. 10.0.3.10-10.0.3.60 (default: loopback, for this machine only)',
  )
  .option('--capacity <n>', 'how many HSMs it runs at most; an idle one takes some 80 MiB', '64')
  .option('--config <file>', CONFIG)
  .addHelpText(
    'after',
    `
Needs the region's database in STRONGROOM_DATABASE_URL, or databaseUrl in the configuration; and of the region's data
directory fleet/*.pem and fleet/backup.key, in the same place below --data. Nothing else: no key of a CA.

  STRONGROOM_DATABASE_URL=postgres://rack2:…@db/strongroom \\
    strongroom host --region us-east-1 --zones us-east-1b --name rack2 --addresses 10.0.3.10-10.0.3.60

docs/hosts.md has it step by step.`,
  )
  .action(async (flags: HostFlags) => (await import('./command/host.ts')).host(flags))

addAccountCommands(program).helpGroup(LOOK)
pointToHelp(program)

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
