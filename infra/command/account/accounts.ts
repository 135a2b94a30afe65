/** `strongroom account create`, `list`, `delete`, `sync`. */
import { randomInt } from 'node:crypto'
import { createAccessKey, createAccount, deleteAccount } from '../../../api/identity/directory.ts'
import { newSecretAccessKey } from '../../../provider-schema/identity.ts'
import { levelRegions } from '../../identity/all-regions.ts'
import { Trouble } from '../../trouble.ts'
import { table } from '../table.ts'
import { toldRegions, withAccounts, type Accounts } from './directory.ts'
import type { DeleteAccountFlags, ListFlags, NewAccountFlags, PlaceFlags } from './flags.ts'
import { printNewKey } from './new-key.ts'
import { terminal } from './terminal.ts'

export async function create(id: string | undefined, flags: NewAccountFlags): Promise<void> {
  await withAccounts(flags, async (accounts) => {
    const account = id ?? String(randomInt(10 ** 11, 10 ** 12))
    if (accounts.configuration.accounts.some((each) => each.id === account)) {
      throw new Trouble(`The account ${account} is in the configuration already: add users to it.`)
    }
    const identityKey = await accounts.identityKey()
    const secret = newSecretAccessKey()
    let keyId: string | undefined
    await accounts.change((directory) => {
      const made = createAccount(directory, account, flags.name ?? '', new Date())
      if (!flags.key) return made
      const withKey = createAccessKey(made, { account }, { secret }, identityKey, new Date())
      keyId = withKey.id
      return withKey.directory
    })
    const principal = `arn:aws:iam::${account}:root`
    if (keyId !== undefined) printNewKey({ principal, id: keyId, secret }, flags.json)
    else terminal.say(flags.json ? `${JSON.stringify({ Account: account })}\n` : `Account ${account}\n`)
    if (!flags.json) terminal.say(toldRegions(accounts))
  })
}

export async function list(flags: ListFlags): Promise<void> {
  await withAccounts(flags, async (accounts) => {
    const { accounts: stored } = await accounts.read()
    const configured = accounts.configuration.accounts
    const ids = [...new Set([...stored, ...configured].map(({ id }) => id))].toSorted()
    const all = ids.map((id) => {
      const found = stored.find((each) => each.id === id)
      const inConfiguration = configured.find((each) => each.id === id)?.accessKeys.length ?? 0
      const keys = (found?.accessKeys.length ?? 0) + (found?.users ?? []).flatMap((user) => user.accessKeys).length
      return {
        account: id,
        name: found?.name ?? 'configured',
        users: found?.users.length ?? 0,
        roles: found?.roles.length ?? 0,
        accessKeys: keys,
        configuredAccessKeys: inConfiguration,
      }
    })
    if (flags.json) terminal.say(`${JSON.stringify(all, null, 2)}\n`)
    else
      terminal.say(
        table(
          HEAD,
          all.map((each) => Object.values(each).map(String)),
        ),
      )
  })
}

const HEAD = ['ACCOUNT', 'NAME', 'USERS', 'ROLES', 'KEYS', 'CONFIGURED KEYS']

export async function remove(id: string, flags: DeleteAccountFlags): Promise<void> {
  await withAccounts(flags, async (accounts) => {
    const owned = await resourcesOf(id, accounts)
    if (owned.length > 0 && flags.force !== true) {
      throw new Trouble(`The account ${id} still has ${owned.join(', ')}.`, {
        mend: 'Delete them first; or --force: they stay, and whoever has an account of this number again has them.',
      })
    }
    await accounts.change((directory) => deleteAccount(directory, id))
    terminal.say(`The account ${id} and all that could sign for it are gone.\n${toldRegions(accounts)}`)
    if (accounts.configuration.accounts.some((each) => each.id === id)) {
      terminal.warn(`The access keys that the configuration has for ${id} still work.\n`)
    }
  })
}

/** e.g. `2 clusters in us-east-1`. */
async function resourcesOf(account: string, { regions }: Accounts): Promise<string[]> {
  const found = await Promise.all(
    regions.prepared.map(async ({ region, database }) => {
      const { rows } = await database.pool.query<{ clusters: number; backups: number }>(
        `select (select count(*)::int from clusters where account = $1 and state <> 'DELETED') as clusters,
                (select count(*)::int from backups where account = $1 and state <> 'DELETED') as backups`,
        [account],
      )
      return Object.entries(rows[0] ?? {}).flatMap(([what, count]) =>
        count === 0 ? [] : [`${count} ${count === 1 ? what.slice(0, -1) : what} in ${region}`],
      )
    }),
  )
  return found.flat()
}

export async function sync(flags: PlaceFlags): Promise<void> {
  await withAccounts(flags, async ({ regions }) => {
    const behind = await levelRegions(regions)
    terminal.say(
      behind.length === 0 ? 'All regions know the same accounts.\n' : `Brought up to date: ${behind.join(', ')}.\n`,
    )
  })
}
