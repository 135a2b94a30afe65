import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { pointToHelp } from './words.ts'

test('a mistake names the help of the command that was meant', () => {
  let said = ''
  const program = new Command('strongroom')
  const quiet = (command: Command) => command.exitOverride().configureOutput({ writeErr: (text) => (said += text) })
  quiet(program)
  const user = quiet(program.command('account')).command('user')
  quiet(user.command('create')).argument('<name>')
  pointToHelp(program)
  for (const [words, help] of [
    [['acount'], 'strongroom --help'],
    [['account', 'user', 'create'], 'strongroom account user create --help'],
    [['account', 'user', 'create', '--nme', 'ada'], 'strongroom account user create --help'],
  ] as const) {
    said = ''
    assert.throws(() => program.parse(words, { from: 'user' }))
    assert.ok(said.endsWith(`("${help}" tells what it takes)\n`), said)
  }
})
