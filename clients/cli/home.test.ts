import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { clientHome } from './home.ts'

const NOWHERE = '/does/not/exist'

test('CLOUDHSM_HOME is the home, made absolute, whatever else there is', () => {
  assert.equal(clientHome({ CLOUDHSM_HOME: 'some/where' }, tmpdir()), resolve('some/where'))
})

test('without it the home is in the place of the system where that can be read', () => {
  assert.equal(clientHome({ XDG_CONFIG_HOME: '/xdg' }, tmpdir()), tmpdir())
})

test('where that is not there the home is in the user’s configuration', () => {
  assert.equal(clientHome({ XDG_CONFIG_HOME: '/xdg' }, NOWHERE), '/xdg/cloudhsm')
  assert.equal(clientHome({}, NOWHERE), join(homedir(), '.config/cloudhsm'))
})

const skip = process.getuid?.() === 0 && 'root may read everything'
test('nor is it where that must not be read; that it must not be written does not matter', { skip }, (t) => {
  const system = mkdtempSync(join(tmpdir(), 'home-'))
  t.after(() => rmSync(system, { recursive: true }))
  chmodSync(system, 0o555)
  assert.equal(clientHome({ XDG_CONFIG_HOME: '/xdg' }, system), system)
  chmodSync(system, 0o300)
  assert.equal(clientHome({ XDG_CONFIG_HOME: '/xdg' }, system), '/xdg/cloudhsm')
})
