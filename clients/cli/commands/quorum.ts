/** Tokens that several users sign, and how many must (data-plane reference §5). */
import { z } from 'zod'
import {
  ADMIN_SERVICES,
  INVALID_QUORUM_VALUE_TEXT,
  isKeyService,
  MAX_QUORUM_VALUE,
  QUORUM_SERVICES,
} from '../../../workers/hsm/protocol/quorum.ts'
import { CliError } from '../cli-error.ts'
import { command, type Command } from '../command.ts'
import { requiredFilterFlag, selectKey } from '../filters.ts'
import { presentTokens } from '../present-tokens.ts'
import { writeTokenFile } from '../token-files.ts'

export const quorumGenerate = command({
  path: 'quorum token-sign generate',
  summary: 'Generate a token to be signed; it ends with your login',
  options: [
    { flags: '--service <service>', description: 'what it is for', required: true, choices: QUORUM_SERVICES },
    { flags: '--token <file>', description: 'where to write it', required: true },
    { flags: '--filter <filter...>', description: 'for key services: selects exactly one key' },
  ],
  input: z.object({
    service: z.enum(QUORUM_SERVICES),
    token: z.string().min(1),
    filter: requiredFilterFlag.optional(),
  }),
  run: async ({ service, token, filter }, { loggedIn }) => {
    if (isKeyService(service) !== (filter !== undefined)) {
      throw new CliError('--filter is for the services key-usage and key-management, and needed there')
    }
    const client = await loggedIn()
    const { handle } = filter ? await selectKey(client, filter) : {}
    const file =
      service === 'registration'
        ? await client.quorum.generateRegistration()
        : await client.quorum.generate(service, handle)
    await writeTokenFile(token, file)
    return { path: token }
  },
})

const list = command({
  path: 'quorum token-sign list',
  summary: 'List the tokens that the HSMs hold',
  input: z.object({}),
  run: async (_input, { loggedIn }) => {
    const client = await loggedIn()
    const lists = await client.quorum.tokens()
    return { tokens: presentTokens(lists.map(({ answer }) => answer)) }
  },
})

const listValues = command({
  path: 'quorum token-sign list-quorum-values',
  summary: 'List how many approvals each service needs',
  input: z.object({}),
  run: async (_input, { connect }) => {
    const client = await connect()
    return client.quorum.values()
  },
})

export const quorumSetValue = command({
  path: 'quorum token-sign set-quorum-value',
  summary: 'Set how many approvals a service needs (admin)',
  options: [
    { flags: '--service <service>', description: 'the service', required: true, choices: ADMIN_SERVICES },
    { flags: '--value <number>', description: `approvals, at most ${MAX_QUORUM_VALUE}; 1 is none`, required: true },
  ],
  input: z.object({
    service: z.enum(ADMIN_SERVICES),
    value: z
      .string()
      .regex(/^[1-8]$/, INVALID_QUORUM_VALUE_TEXT)
      .transform(Number),
  }),
  run: async ({ service, value }, { loggedIn }) => {
    const client = await loggedIn()
    await client.quorum.setValue(service, value)
    return 'Set Quorum Value successful'
  },
})

const remove = command({
  path: 'quorum token-sign delete',
  summary: 'Delete tokens (admin)',
  options: [{ flags: '--scope <scope>', description: 'your own or all', required: true, choices: ['user', 'all'] }],
  input: z.object({ scope: z.enum(['user', 'all']) }),
  run: async ({ scope }, { loggedIn }) => {
    const client = await loggedIn()
    await client.quorum.deleteTokens(scope)
    return 'Deletion of quorum token(s) successful'
  },
})

export const quorumLists: readonly Command[] = [list, listValues, remove]
