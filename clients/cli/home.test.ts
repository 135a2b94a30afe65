import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { clientHome } from './home.ts'

test('CLOUDHSM_HOME is the home, made absolute', () => {
  assert.equal(clientHome('read', { CLOUDHSM_HOME: 'some/where' }), resolve('some/where'))
})

test('without it the home is in the user’s configuration', { skip: existsSync('/opt/cloudhsm') }, () => {
  assert.equal(clientHome('write', { XDG_CONFIG_HOME: '/xdg' }), '/xdg/cloudhsm')
  assert.equal(clientHome('read', {}), join(homedir(), '.config/cloudhsm'))
})
