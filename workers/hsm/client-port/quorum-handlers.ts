/** Thresholds, tokens and approvals. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import type { Handlers } from '../server/port-server.ts'
import type { ClientHsm } from './client-hsm.ts'
import { admit, admitCaller, type Session } from './session.ts'

export function quorumHandlers(hsm: ClientHsm) {
  return {
    'quorum-list-values'(_params, connection) {
      admit('quorum-list-values', hsm, connection)
      return { values: hsm.quorum.values.list() }
    },

    async 'quorum-set-value'({ service, value }, connection) {
      const caller = admitCaller('quorum-set-value', hsm, connection)
      await hsm.quorum.values.set(service, value)
      hsm.log.info({ by: caller.username, service, value }, 'quorum value set')
      return {}
    },

    'quorum-token-generate'({ service, handle }, connection) {
      admitCaller('quorum-token-generate', hsm, connection)
      return { record: hsm.quorum.generate(connection.context, service, handle) }
    },

    'quorum-approve'(params, connection) {
      const { username } = admitCaller('quorum-approve', hsm, connection)
      const approved = hsm.quorum.approve(connection.context, params)
      hsm.log.info({ username, by: params.signatures.map((each) => each.username) }, 'quorum token approved')
      return approved
    },

    'quorum-token-list'(_params, connection) {
      return { tokens: hsm.quorum.list(admitCaller('quorum-token-list', hsm, connection)) }
    },

    'quorum-token-delete'({ scope }, connection) {
      const caller = admitCaller('quorum-token-delete', hsm, connection)
      hsm.quorum.delete(caller, scope)
      hsm.log.info({ by: caller.username, scope }, 'quorum tokens deleted')
      return {}
    },

    'quorum-token-drop'({ record }, connection) {
      admitCaller('quorum-token-drop', hsm, connection)
      hsm.quorum.drop(connection.context, record)
      return {}
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}
