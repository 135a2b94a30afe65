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
import { AS_JSON, CONFIG, DATA } from './words.ts'

const ACCOUNT = 'account, twelve digits (may be left out while there is only one)'

const place = (command: Command) => command.option('--data <dir>', DATA).option('--config <file>', CONFIG)
const within = (command: Command) => place(command).option('--account <id>', ACCOUNT)
const holder = (command: Command) =>
  within(command)
    .addOption(new Option('--user <name>', 'of this user').conflicts('role'))
    .option('--role <name>', 'of this role')
const collect = (value: string, all: readonly string[] = []) => [...all, value]

/** Gives the command that holds them all. */
export function addAccountCommands(program: Command): Command {
  const account = program
    .command('account')
    .description('Make and change accounts, users, roles, access keys and policies, in all regions at once')
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
  addUsers(account.command('user').description('Make and remove users of an account'))
  addRoles(account.command('role').description('Make and remove roles, which "aws sts assume-role" takes'))
  addKeys(account.command('key').description('Make, disable and remove access keys'))
  addPolicies(account.command('policy').description('Give and take policies of a user or role: IAM JSON documents'))
  return account
}

const accounts = () => import('./account/accounts.ts')

function addAccounts(account: Command): void {
  place(account.command('create'))
    .description('Make an account and an access key that may do everything in it; the secret is shown once')
    .argument('[id]', 'twelve digits (default: random ones)')
    .option('--name <text>', 'what people call it')
    .option('--no-key', 'without an access key')
    .option('--json', AS_JSON)
    .action(async (id: string | undefined, flags: NewAccountFlags) => (await accounts()).create(id, flags))
  place(account.command('list'))
    .description('List all accounts')
    .option('--json', AS_JSON)
    .action(async (flags: ListFlags) => (await accounts()).list(flags))
  place(account.command('delete'))
    .description('Remove an account with its users, roles and access keys')
    .argument('<id>')
    .option('--force', 'also when it has clusters or backups: they stay')
    .action(async (id: string, flags: DeleteAccountFlags) => (await accounts()).remove(id, flags))
  place(account.command('sync'))
    .description('Tell regions that were not there at the last change what they missed')
    .action(async (flags: PlaceFlags) => (await accounts()).sync(flags))
}

const users = () => import('./account/users.ts')

function addUsers(user: Command): void {
  within(user.command('create'))
    .description('Make a user; it may do nothing until a policy allows it')
    .argument('<name>')
    .option('--tag <key=value>', 'for aws:PrincipalTag in policies; may be repeated', collect)
    .action(async (name: string, flags: NewUserFlags) => (await users()).createUserOf(name, flags))
  within(user.command('list'))
    .description('List users with their policies and access keys')
    .option('--json', AS_JSON)
    .action(async (flags: PrincipalListFlags) => (await users()).listUsers(flags))
  within(user.command('delete'))
    .description('Remove a user with its access keys and policies')
    .argument('<name>')
    .action(async (name: string, flags: AccountFlag) => (await users()).deleteUserOf(name, flags))
}

function addRoles(role: Command): void {
  within(role.command('create'))
    .description('Make a role; it may do nothing until a policy allows it')
    .argument('<name>')
    .requiredOption('--trust <file>', 'who may take it: a trust policy ("-": standard input)')
    .option('--max-session <seconds>', 'how long a session may last, 3600 to 43200 (default: 3600)')
    .option('--tag <key=value>', 'for aws:PrincipalTag in policies; may be repeated', collect)
    .action(async (name: string, flags: NewRoleFlags) => (await users()).createRoleOf(name, flags))
  within(role.command('trust'))
    .description('Replace the trust policy of a role')
    .argument('<name>')
    .argument('<file>', 'the new trust policy: IAM JSON document ("-": standard input)')
    .action(async (name: string, file: string, flags: AccountFlag) => (await users()).setTrustOf(name, file, flags))
  within(role.command('list'))
    .description('List roles with their policies')
    .option('--json', AS_JSON)
    .action(async (flags: PrincipalListFlags) => (await users()).listRoles(flags))
  within(role.command('delete'))
    .description('Remove a role; its sessions end as well')
    .argument('<name>')
    .action(async (name: string, flags: AccountFlag) => (await users()).deleteRoleOf(name, flags))
}

const keys = () => import('./account/keys.ts')

function addKeys(key: Command): void {
  within(key.command('create'))
    .description('Make an access key of a user, or of the account itself; the secret is shown once')
    .option('--user <name>', 'for this user (default: for the account itself: it may do everything)')
    .option('--id <id>', 'id of the key: AKIA and sixteen of A–Z and 2–7 (default: a random one)')
    .option('--secret-stdin', 'take the secret from standard input instead of making one')
    .option('--json', AS_JSON)
    .action(async (flags: NewKeyFlags) => (await keys()).createKey(flags))
  place(key.command('list'))
    .description('List all access keys; never their secrets')
    .option('--json', AS_JSON)
    .action(async (flags: ListFlags) => (await keys()).listKeys(flags))
  for (const [name, active] of [
    ['disable', false],
    ['enable', true],
  ] as const) {
    place(key.command(name))
      .description(active ? 'Let an access key in again' : 'Let an access key in no more, until it is enabled')
      .argument('<id>')
      .action(async (id: string, flags: PlaceFlags) => (await keys()).setKeyActive(id, active, flags))
  }
  place(key.command('delete'))
    .description('Remove an access key')
    .argument('<id>')
    .action(async (id: string, flags: PlaceFlags) => (await keys()).deleteKey(id, flags))
}

const policies = () => import('./account/policies.ts')

function addPolicies(policy: Command): void {
  holder(policy.command('put'))
    .description('Give a user or role a policy, or replace the one of that name')
    .argument('<name>')
    .argument('<file>', 'IAM JSON document ("-": standard input)')
    .action(async (name: string, file: string, flags: HolderFlags) => (await policies()).put(name, file, flags))
  holder(policy.command('list'))
    .description('List the names of the policies of a user or role')
    .action(async (flags: HolderFlags) => (await policies()).list(flags))
  holder(policy.command('show'))
    .description('Show the document, as it was given')
    .argument('<name>')
    .action(async (name: string, flags: HolderFlags) => (await policies()).show(name, flags))
  holder(policy.command('delete'))
    .description('Take a policy away')
    .argument('<name>')
    .action(async (name: string, flags: HolderFlags) => (await policies()).remove(name, flags))
}
