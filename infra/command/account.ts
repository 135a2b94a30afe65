/** The words of `strongroom account`. Each command's code is loaded when it is used. */
import { Option, type Command } from 'commander'
import type {
  AccountFlag,
  DeleteAccountFlags,
  HolderFlags,
  ListFlags,
  NewAccountFlags,
  NewKeyFlags,
  NewRoleFlags,
  NewUserFlags,
  PlaceFlags,
  PrincipalListFlags,
} from './account/flags.ts'

const DATA = 'data directory'
const CONFIG = 'configuration (default: strongroom.json in the data directory)'
const ACCOUNT = 'account, twelve digits (may be left out while there is only one)'
const JSON_OUT = 'for programs'

const place = (command: Command) => command.option('--data <dir>', DATA).option('--config <file>', CONFIG)
const within = (command: Command) => place(command).option('--account <id>', ACCOUNT)
const holder = (command: Command) =>
  within(command)
    .addOption(new Option('--user <name>', 'of this user').conflicts('role'))
    .option('--role <name>', 'of this role')
const collect = (value: string, all: readonly string[] = []) => [...all, value]

export function addAccountCommands(program: Command): void {
  const account = program
    .command('account')
    .description('accounts, users, roles, access keys and policies, in all regions at once')
    .addHelpText(
      'after',
      `
A key of an account itself may do everything in it; a user or role what its policies allow. For example:

  strongroom account create --name staging
  strongroom account user create ada
  strongroom account policy put read-only policy.json --user ada
  strongroom account key create --user ada`,
    )
  addAccounts(account)
  addUsers(account.command('user').description('users of an account'))
  addRoles(account.command('role').description('roles, which "aws sts assume-role" takes'))
  addKeys(account.command('key').description('access keys'))
  addPolicies(account.command('policy').description('identity policies of a user or role: IAM JSON documents'))
}

const accounts = () => import('./account/accounts.ts')

function addAccounts(account: Command): void {
  place(account.command('create'))
    .description('make an account and an access key that may do everything in it; the secret is shown once')
    .argument('[id]', 'twelve digits (default: random ones)')
    .option('--name <text>', 'what people call it')
    .option('--no-key', 'without an access key')
    .option('--json', JSON_OUT)
    .action(async (id: string | undefined, flags: NewAccountFlags) => (await accounts()).create(id, flags))
  place(account.command('list'))
    .description('all accounts')
    .option('--json', JSON_OUT)
    .action(async (flags: ListFlags) => (await accounts()).list(flags))
  place(account.command('delete'))
    .description('remove an account with its users, roles and access keys')
    .argument('<id>')
    .option('--force', 'also when it has clusters or backups: they stay')
    .action(async (id: string, flags: DeleteAccountFlags) => (await accounts()).remove(id, flags))
  place(account.command('sync'))
    .description('bring regions up to date that were not there at the last change')
    .action(async (flags: PlaceFlags) => (await accounts()).sync(flags))
}

const users = () => import('./account/users.ts')

function addUsers(user: Command): void {
  within(user.command('create'))
    .description('make a user; it may do nothing until a policy allows it')
    .argument('<name>')
    .option('--tag <key=value>', 'for aws:PrincipalTag in policies; may be repeated', collect)
    .action(async (name: string, flags: NewUserFlags) => (await users()).createUserOf(name, flags))
  within(user.command('list'))
    .description('users with their policies and access keys')
    .option('--json', JSON_OUT)
    .action(async (flags: PrincipalListFlags) => (await users()).listUsers(flags))
  within(user.command('delete'))
    .description('remove a user with its access keys and policies')
    .argument('<name>')
    .action(async (name: string, flags: AccountFlag) => (await users()).deleteUserOf(name, flags))
}

function addRoles(role: Command): void {
  within(role.command('create'))
    .description('make a role; it may do nothing until a policy allows it')
    .argument('<name>')
    .requiredOption('--trust <file>', 'who may take it: a trust policy ("-": standard input)')
    .option('--max-session <seconds>', 'how long a session may last, 3600 to 43200 (default: 3600)')
    .option('--tag <key=value>', 'for aws:PrincipalTag in policies; may be repeated', collect)
    .action(async (name: string, flags: NewRoleFlags) => (await users()).createRoleOf(name, flags))
  within(role.command('trust'))
    .description('replace the trust policy of a role')
    .argument('<name>')
    .argument('<file>', '"-": standard input')
    .action(async (name: string, file: string, flags: AccountFlag) => (await users()).setTrustOf(name, file, flags))
  within(role.command('list'))
    .description('roles with their policies')
    .option('--json', JSON_OUT)
    .action(async (flags: PrincipalListFlags) => (await users()).listRoles(flags))
  within(role.command('delete'))
    .description('remove a role; its sessions end as well')
    .argument('<name>')
    .action(async (name: string, flags: AccountFlag) => (await users()).deleteRoleOf(name, flags))
}

const keys = () => import('./account/keys.ts')

function addKeys(key: Command): void {
  within(key.command('create'))
    .description('make an access key of a user, or of the account itself; the secret is shown once')
    .option('--user <name>', 'of this user (default: of the account, and may do everything)')
    .option('--id <id>', 'this access key id: AKIA and sixteen of A–Z and 2–7')
    .option('--secret-stdin', 'take the secret from standard input instead of making one')
    .option('--json', JSON_OUT)
    .action(async (flags: NewKeyFlags) => (await keys()).createKey(flags))
  place(key.command('list'))
    .description('all access keys; never their secrets')
    .option('--json', JSON_OUT)
    .action(async (flags: ListFlags) => (await keys()).listKeys(flags))
  for (const [name, active] of [
    ['disable', false],
    ['enable', true],
  ] as const) {
    place(key.command(name))
      .description(active ? 'let an access key in again' : 'let an access key in no more, until it is enabled')
      .argument('<id>')
      .action(async (id: string, flags: PlaceFlags) => (await keys()).setKeyActive(id, active, flags))
  }
  place(key.command('delete'))
    .description('remove an access key')
    .argument('<id>')
    .action(async (id: string, flags: PlaceFlags) => (await keys()).deleteKey(id, flags))
}

const policies = () => import('./account/policies.ts')

function addPolicies(policy: Command): void {
  holder(policy.command('put'))
    .description('give a user or role a policy, or replace the one of that name')
    .argument('<name>')
    .argument('<file>', 'IAM JSON document ("-": standard input)')
    .action(async (name: string, file: string, flags: HolderFlags) => (await policies()).put(name, file, flags))
  holder(policy.command('list'))
    .description('names of its policies')
    .action(async (flags: HolderFlags) => (await policies()).list(flags))
  holder(policy.command('show'))
    .description('the document, as it was given')
    .argument('<name>')
    .action(async (name: string, flags: HolderFlags) => (await policies()).show(name, flags))
  holder(policy.command('delete'))
    .description('take a policy away')
    .argument('<name>')
    .action(async (name: string, flags: HolderFlags) => (await policies()).remove(name, flags))
}
