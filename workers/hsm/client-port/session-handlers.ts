/** hello, activate, login, logout, hsm-info. */
import type { ClientOperations } from '../protocol/client-operations.ts'
import { HsmError } from '../protocol/errors.ts'
import type { Handlers } from '../server/port-server.ts'
import { requireCluster, type ClientHsm } from './client-hsm.ts'
import { newChallenge, takeChallenge } from './login-challenge.ts'
import { admit, endLogin, type Session } from './session.ts'

/** Text of AWS's tools for a mode; it names the mode, it claims no certificate (data-plane reference §2.3). */
const FIPS_STATE = {
  FIPS: '2 [FIPS mode with single factor authentication]',
  NON_FIPS: '0 [non-FIPS mode with single factor authentication]',
} as const

export function sessionHandlers(hsm: ClientHsm) {
  return {
    hello({ client }, connection) {
      const cluster = requireCluster(hsm)
      connection.context.greeted = true
      connection.context.client = client
      return {
        protocol: 1,
        hsmId: hsm.config.hsmId,
        ...cluster,
        activated: hsm.users.activated,
        members: [...hsm.replication.members()],
      }
    },

    async activate({ password }, connection) {
      admit('activate', hsm, connection)
      const phase = hsm.phase()
      if (phase === 'blank' || phase === 'founded') {
        throw new HsmError('WrongState', 'the cluster is not initialized yet: sign its CSR and initialize it first')
      }
      await hsm.users.activate(password)
      hsm.log.info({ from: connection.remoteAddress }, 'cluster activated')
      return {}
    },

    async login({ username, role, password, mfaSignature }, connection) {
      admit('login', hsm, connection)
      const { context } = connection
      const { challenge } = context
      if (context.caller || context.loggingIn) {
        throw new HsmError('WrongState', 'this connection is logged in already: log out first')
      }
      context.loggingIn = true
      try {
        const signed = mfaSignature && {
          preimage: takeChallenge(context, { username, role }),
          signature: mfaSignature,
        }
        const caller = await hsm.users.login({ username, role, password, signed }, connection.remoteAddress)
        context.caller = caller
        connection.trust()
        await hsm.seenClients.note(context.client)
        return caller
      } catch (error) {
        const reason = error instanceof HsmError ? error.code : 'Internal'
        // Nothing of a login that must wait was looked at: the token is still good.
        if (reason === 'Busy') context.challenge ??= challenge
        hsm.log.warn({ from: connection.remoteAddress, username, reason }, 'login refused')
        throw error
      } finally {
        context.loggingIn = false
      }
    },

    'mfa-token-generate'({ username, role }, connection) {
      admit('mfa-token-generate', hsm, connection)
      return { token: newChallenge(connection.context, hsm.config.hsmId, { username, role }) }
    },

    logout(_params, connection) {
      admit('logout', hsm, connection)
      if (connection.context.loggingIn) {
        throw new HsmError('WrongState', 'a login is under way on this connection: wait for its answer, then log out')
      }
      endLogin(connection, hsm.keys)
      return {}
    },

    'hsm-info'(_params, connection) {
      admit('hsm-info', hsm, connection)
      const { hsmType, mode } = requireCluster(hsm)
      const [major = '0', minor = '0', build = '0'] = hsm.version.split('.')
      return {
        vendor: 'Strongroom',
        model: `Software HSM ${hsmType}`,
        'serial-number': hsm.config.hsmId,
        'hardware-version-major': '0',
        'hardware-version-minor': '0',
        'firmware-version-major': major,
        'firmware-version-minor': minor,
        'firmware-build-number': build,
        'firmware-id': `STRONGROOM-SOFTWARE-${hsm.version}`,
        'fips-state': FIPS_STATE[mode],
      }
    },
  } satisfies Partial<Handlers<ClientOperations, Session>>
}
