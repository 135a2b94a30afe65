/** `strongroom account user …` and `role …`. */
import { createRole, createUser, deleteRole, deleteUser, setTrust } from '../../../api/identity/directory.ts'
import { roleArn, userArn } from '../../../api/identity/principal.ts'
import { IDENTITY_LIMITS } from '../../../provider-schema/identity.ts'
import { Trouble } from '../../trouble.ts'
import { table } from '../table.ts'
import { withAccounts } from './directory.ts'
import type { AccountFlag, NewRoleFlags, NewUserFlags, PrincipalListFlags } from './flags.ts'
import { documentFrom, tagsFrom } from './input.ts'
import { terminal } from './terminal.ts'

export async function createUserOf(name: string, flags: NewUserFlags): Promise<void> {
  const tags = tagsFrom(flags.tag)
  await withAccounts(flags, async ({ change, accountOf }) => {
    let account = ''
    await change((present) => {
      const { id, directory } = accountOf(present, flags.account)
      account = id
      return createUser(directory, id, name, tags, new Date())
    })
    terminal.say(
      `${userArn(account, name)}\nNothing is allowed to it yet: strongroom account policy put … --user ${name}\n`,
    )
  })
}

export async function deleteUserOf(name: string, flags: AccountFlag): Promise<void> {
  await withAccounts(flags, async ({ change, accountOf }) => {
    await change((present) => deleteUser(present, accountOf(present, flags.account).id, name))
    terminal.say(`The user ${name}, its access keys and its policies are gone.\n`)
  })
}

export async function listUsers(flags: PrincipalListFlags): Promise<void> {
  await withAccounts(flags, async ({ read, accountOf }) => {
    const { id, directory } = accountOf(await read(), flags.account)
    const users = directory.accounts.find((each) => each.id === id)?.users ?? []
    const shown = users.map((user) => ({
      name: user.name,
      arn: userArn(id, user.name),
      policies: Object.keys(user.policies),
      accessKeys: user.accessKeys.map((key) => key.id),
    }))
    if (flags.json) terminal.say(`${JSON.stringify(shown, null, 2)}\n`)
    else {
      const rows = shown.map((each) => [each.name, each.policies.join(', '), each.accessKeys.join(', ')])
      terminal.say(table(['USER', 'POLICIES', 'ACCESS KEYS'], rows))
    }
  })
}

export async function createRoleOf(name: string, flags: NewRoleFlags): Promise<void> {
  const tags = tagsFrom(flags.tag)
  const trust = await documentFrom(flags.trust)
  const maxSessionSeconds = secondsOf(flags.maxSession)
  await withAccounts(flags, async ({ change, accountOf }) => {
    let account = ''
    await change((present) => {
      const { id, directory } = accountOf(present, flags.account)
      account = id
      return createRole(directory, id, { name, trust, maxSessionSeconds, tags }, new Date())
    })
    terminal.say(
      `${roleArn(account, name)}\nNothing is allowed to it yet: strongroom account policy put … --role ${name}\n`,
    )
  })
}

export async function setTrustOf(name: string, file: string, flags: AccountFlag): Promise<void> {
  const trust = await documentFrom(file)
  await withAccounts(flags, async ({ change, accountOf }) => {
    await change((present) => setTrust(present, accountOf(present, flags.account).id, name, trust))
    terminal.say(`Who may take the role ${name} is changed; sessions that were given out last to their end.\n`)
  })
}

export async function deleteRoleOf(name: string, flags: AccountFlag): Promise<void> {
  await withAccounts(flags, async ({ change, accountOf }) => {
    await change((present) => deleteRole(present, accountOf(present, flags.account).id, name))
    terminal.say(`The role ${name}, its policies and its sessions are gone.\n`)
  })
}

export async function listRoles(flags: PrincipalListFlags): Promise<void> {
  await withAccounts(flags, async ({ read, accountOf }) => {
    const { id, directory } = accountOf(await read(), flags.account)
    const roles = directory.accounts.find((each) => each.id === id)?.roles ?? []
    const shown = roles.map((role) => ({
      name: role.name,
      arn: roleArn(id, role.name),
      policies: Object.keys(role.policies),
      maxSessionSeconds: role.maxSessionSeconds,
      trust: role.trust,
    }))
    if (flags.json) terminal.say(`${JSON.stringify(shown, null, 2)}\n`)
    else {
      const rows = shown.map((each) => [each.name, each.policies.join(', '), String(each.maxSessionSeconds)])
      terminal.say(table(['ROLE', 'POLICIES', 'LONGEST SESSION (s)'], rows))
    }
  })
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return IDENTITY_LIMITS.sessionSeconds.usualOfRole
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new Trouble(`--max-session ${text} is not a number of seconds.`)
}
