/** The tool as a process, against a fake HSM where a real one could not be made to wait or to lie. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { HsmError } from '../../workers/hsm/protocol/errors.ts'
import { testCa } from '../sdk/testing/certificates.ts'
import { startFakeHsm, type FakeHsm } from '../sdk/testing/fake-hsm.ts'
import { writeConfig } from './config.ts'
import { configFileOf } from './home.ts'
import { toolHome } from './testing/tool.ts'

const ca = testCa()
const certificate = ca.server
const SECRET = 'correct-horse'
const TOOL = join(import.meta.dirname, '../../bin/cloudhsm-cli')

/** Points a home at an HSM, as configure-cli does. */
function pointAt(home: string, hsm: Pick<FakeHsm, 'host' | 'port'>, caPem = ca.certificate): void {
  const caFile = join(home, 'customerCA.crt')
  writeFileSync(caFile, caPem)
  const cluster = {
    hsm_ca_file: caFile,
    servers: [{ hostname: hsm.host, port: hsm.port, enable: true }],
    options: { disable_key_availability_check: true },
  }
  const logging = { log_type: 'file', log_level: 'trace', log_interval: 'never' } as const
  writeConfig(configFileOf(home), { clusters: [{ type: 'hsm1', cluster }], logging })
}

const answerShape = z.strictObject({ error_code: z.union([z.literal(0), z.literal(1)]), data: z.unknown() })

const failure = (stdout: string): string => {
  const { error_code: errorCode, data } = answerShape.parse(JSON.parse(stdout))
  assert.equal(errorCode, 1)
  return z.string().parse(data)
}

describe('before anything is sent', () => {
  test('mistakes are told as JSON on standard output, with exit code 1 and nothing on standard error', async () => {
    using tools = toolHome()
    for (const [words, message] of [
      [[], /A command is missing after "cloudhsm-cli"\. There are: interactive, cluster, login/],
      [['key'], /A command is missing after "cloudhsm-cli key"\. There are: generate-symmetric, /],
      [['key', 'lst'], /unknown command 'lst'\n\(Did you mean list\?\)/],
      [['crypto', 'encrypt'], /unknown command 'encrypt'\nAfter "cloudhsm-cli crypto" there are: sign, verify$/],
      [
        ['key', 'generate-symmetric', 'aes', '--label', 'x'],
        /--key-length-bytes <bytes>' not specified\nUsage: cloudhsm-cli key generate-symmetric aes/,
      ],
      [['key', 'list', '--max-items', 'many'], /--max-items: .*expected number/],
      [['key', 'delete', '--filter', 'label=x'], /Invalid filter "label=x"/],
      [['user', 'create', '--username', 'a b', '--role', 'admin'], /--username: a user name is/],
      [['login', '--username', 'a', '--role', 'king'], /Allowed choices are admin, crypto-user/],
      [['key', 'list'], /No cluster is configured in .*cloudhsm-cli\.cfg\. Run: configure-cli -a/],
    ] as const) {
      const { code, stdout, stderr } = await tools.cli(words)
      assert.match(failure(stdout), message)
      assert.equal(code, 1, words.join(' '))
      assert.equal(stderr, '')
    }
  })

  test('a password at the wrong place is not repeated, neither in the answer nor in the log', async () => {
    using tools = toolHome()
    const login = ['login', '--username', 'alice', '--role', 'admin']
    for (const { stdout } of [
      await tools.cli([...login, SECRET]),
      await tools.cli([...login, `--pasword=${SECRET}`]),
      await tools.cli(['key', 'list'], { env: { CLOUDHSM_ROLE: `admin:${SECRET}`, CLOUDHSM_PIN: `admin:${SECRET}` } }),
      await tools.cli(['key', 'list'], { env: { CLOUDHSM_ROLE: 'admin', CLOUDHSM_PIN: SECRET } }),
      await tools.cli(['key', 'list'], { env: { CLOUDHSM_PIN: SECRET } }),
    ]) {
      failure(stdout)
      assert.doesNotMatch(stdout, /correct-horse/)
    }
    const run = join(tools.home, 'run')
    const logs = existsSync(run) ? readdirSync(run).map((name) => readFileSync(join(run, name), 'utf8')) : []
    assert.doesNotMatch(logs.join(''), /correct-horse/)
  })

  test('help is plain text and succeeds, at every level', async () => {
    using tools = toolHome()
    for (const [words, text] of [
      [['--help'], /Usage: cloudhsm-cli[^]*configure-cli[^]*CLOUDHSM_ROLE[^]*CLOUDHSM_PIN/],
      [['help'], /Usage: cloudhsm-cli/],
      [['key', 'help', 'list'], /Usage: cloudhsm-cli key list[^]*--starting-token/],
      [['crypto', 'sign', 'rsa-pkcs-pss', '-h'], /--salt-length <bytes>/],
    ] as const) {
      const { code, stdout } = await tools.cli(words)
      assert.equal(code, 0)
      assert.match(stdout, text)
    }
  })
})

describe('reaching an HSM', () => {
  test('no server: the answer says which address and why', async () => {
    using tools = toolHome()
    pointAt(tools.home, { host: '127.0.0.1', port: 1 })
    const { code, stdout } = await tools.cli(['user', 'list'])
    assert.equal(code, 1)
    assert.match(failure(stdout), /127\.0\.0\.1:1 \(connect ECONNREFUSED/)
  })

  test('another CA: the answer names the CA file and what the server showed', async () => {
    using tools = toolHome()
    await using hsm = await startFakeHsm({ certificate })
    pointAt(tools.home, hsm, testCa('old-ca').certificate)
    const { code, stdout } = await tools.cli(['user', 'list'])
    assert.equal(code, 1)
    assert.match(
      failure(stdout),
      /signed by the CA file .*customerCA\.crt \(CN=old-ca\); the server shows CN=HSM, issued by CN=customer-ca/,
    )
  })

  test('a wrong password is answered as failure, and asked of the HSM once', async () => {
    using tools = toolHome()
    await using hsm = await startFakeHsm({ certificate })
    hsm.on('login', () => {
      throw new HsmError('LoginFailed', 'The user name, role or password is wrong')
    })
    pointAt(tools.home, hsm)
    const { code, stdout } = await tools.cli(['key', 'list'], {
      env: { CLOUDHSM_ROLE: 'crypto-user', CLOUDHSM_PIN: `alice:${SECRET}` },
    })
    assert.equal(code, 1)
    assert.equal(failure(stdout), 'The user name, role or password is wrong')
    assert.equal(hsm.calls.filter((op) => op === 'login').length, 1)
  })

  test('without credentials a command that needs a login says how to give them', async () => {
    using tools = toolHome()
    await using hsm = await startFakeHsm({ certificate })
    pointAt(tools.home, hsm)
    const { stdout } = await tools.cli(['key', 'list'])
    assert.match(failure(stdout), /CLOUDHSM_ROLE and CLOUDHSM_PIN/)
  })

  test('another cluster than the one that was named is refused', async () => {
    using tools = toolHome()
    await using hsm = await startFakeHsm({ certificate })
    pointAt(tools.home, hsm)
    const { stdout } = await tools.cli(['user', 'list', '--cluster-id', 'cluster-other111111'])
    assert.match(failure(stdout), /belongs to cluster-fakefakefa1, not to cluster-other111111/)
  })
})

describe('passwords', () => {
  test('are asked for when not given, twice for a new one, and are not shown', async () => {
    using tools = toolHome()
    await using hsm = await startFakeHsm({ certificate })
    const activated: unknown[] = []
    hsm.on('activate', ({ password }) => {
      activated.push(password)
      return {}
    })
    pointAt(tools.home, hsm)
    const differing = await tools.cli(['cluster', 'activate'], { input: `${SECRET}\nanother-one\n` })
    assert.equal(failure(differing.stdout), 'The passwords are not the same')
    const short = await tools.cli(['cluster', 'activate', '--password', 'short'])
    assert.equal(failure(short.stdout), 'a password has 8 to 32 characters')
    const none = await tools.cli(['cluster', 'activate'])
    assert.equal(failure(none.stdout), 'No password was entered')
    assert.deepEqual(activated, [])
    const { code, stdout } = await tools.cli(['cluster', 'activate'], { input: `${SECRET}\n${SECRET}\n` })
    assert.equal(code, 0)
    assert.equal(stdout, '{\n  "error_code": 0,\n  "data": "Cluster activation successful"\n}\n')
    assert.deepEqual(activated, [SECRET])
  })

  test(
    'a password given by flag does not stay in the list of processes',
    { skip: !existsSync('/proc/self') },
    async () => {
      using tools = toolHome()
      await using hsm = await startFakeHsm({ certificate })
      pointAt(tools.home, hsm)
      const seen = Promise.withResolvers<string>()
      const child = spawn(TOOL, ['login', '--username', 'alice', '--role', 'crypto-user', '--password', SECRET], {
        env: { ...process.env, CLOUDHSM_HOME: tools.home },
        stdio: 'ignore',
      })
      hsm.on('login', ({ username, role }) => {
        seen.resolve(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'))
        return { username, role }
      })
      const ended = new Promise((resolve) => child.on('close', resolve))
      const commandLine = await seen.promise
      await ended
      assert.doesNotMatch(commandLine, /correct-horse/)
      assert.match(commandLine, /^cloudhsm-cli/)
    },
  )

  const scriptMissing = spawnSync('script', ['--version']).status !== 0
  test('what is typed at a prompt is not echoed', { skip: scriptMissing && 'needs the command script' }, async () => {
    using tools = toolHome()
    await using hsm = await startFakeHsm({ certificate })
    pointAt(tools.home, hsm)
    // The command `script` is a terminal: what it prints is what somebody would see.
    const child = spawn('script', ['-qec', `${TOOL} interactive`, '/dev/null'], {
      env: { ...process.env, CLOUDHSM_HOME: tools.home, TERM: 'xterm' },
    })
    let screen = ''
    const typed = new Set<string>()
    const answers = [
      ['aws-cloudhsm > ', 'login --username alice --role crypto-user\r'],
      ['Enter password:', `${SECRET}\r`],
      ['alice@cluster-fakefakefa1 > ', '\u001b[A'], // arrow up: the latest line of the history
    ] as const
    child.stdout.on('data', (text: Buffer) => {
      screen += text.toString()
      const next = answers.find(([prompt]) => screen.includes(prompt) && !typed.has(prompt))
      if (!next) return
      typed.add(next[0])
      child.stdin.write(next[1])
      if (next[0].startsWith('alice')) setTimeout(() => child.stdin.write('\u0003'), 500)
    })
    await new Promise((resolve) => child.on('close', resolve))
    assert.ok(screen.includes('"username": "alice"'), screen)
    assert.equal(screen.split('login --username alice').length, 3, `typed once, and in the history: ${screen}`)
    assert.doesNotMatch(screen, /correct-horse/)
  })

  for (const [redirected, line] of [
    ['standard error', 'login --username alice --role crypto-user 2>/dev/null'],
    ['standard output', 'login --username alice --role crypto-user >answer'],
    ['both', 'login --username alice --role crypto-user >answer 2>&1'],
    ['the output of interactive mode', 'interactive >answer'],
  ] as const) {
    const title = `nor when ${redirected} is redirected`
    test(title, { skip: scriptMissing && 'needs the command script' }, async () => {
      using tools = toolHome()
      await using hsm = await startFakeHsm({ certificate })
      pointAt(tools.home, hsm)
      const asked = Promise.withResolvers<undefined>()
      hsm.on('login', ({ username, role, password }) => {
        asked.resolve(undefined)
        assert.equal(password, SECRET)
        return { username, role }
      })
      const child = spawn('script', ['-qec', `${TOOL} ${line}`, '/dev/null'], {
        cwd: tools.home,
        env: { ...process.env, CLOUDHSM_HOME: tools.home, TERM: 'xterm' },
      })
      const ended = new Promise((resolve) => child.on('close', resolve))
      child.stdin.on('error', () => undefined)
      let screen = ''
      child.stdout.on('data', (text: Buffer) => (screen += text.toString()))
      const log = () => {
        const file = join(tools.home, 'run/cloudhsm-cli.log')
        return existsSync(file) ? readFileSync(file, 'utf8') : ''
      }
      const until = async (what: () => boolean) => {
        for (let i = 0; i < 100 && !what(); i++) await delay(50)
      }
      if (line.startsWith('interactive')) {
        await until(() => screen.includes('aws-cloudhsm > '))
        child.stdin.write('login --username alice --role crypto-user\r')
      }
      await until(() => log().includes('connected to HSM'))
      await delay(300)
      child.stdin.write(`${SECRET}\r`)
      await asked.promise
      await delay(300)
      child.stdin.write('\u0003')
      await ended
      assert.doesNotMatch(screen, /correct-horse/)
      if (redirected !== 'both') assert.match(screen, /Enter password:/)
    })
  }
})

test('interactive mode keeps one login for all lines, and its prompt says whose', async () => {
  using tools = toolHome()
  await using hsm = await startFakeHsm({ certificate })
  hsm.on('key-find', () => ({ keys: [], total: 0 }))
  pointAt(tools.home, hsm)
  const lines = [
    'key list',
    'login --username Alice --role crypto-user',
    SECRET,
    '',
    'key list',
    'key list',
    'login --username bob --role crypto-user --password bobspass1',
    'logout',
    'key list',
    'quit',
    'key list',
  ]
  const { code, stdout, stderr } = await tools.cli(['interactive'], { input: lines.join('\n') })
  const answers = stdout.split(/(?<=^\})\n/m).filter((text) => text !== '')
  const parsed = answers.map((text) => answerShape.parse(JSON.parse(text)))
  assert.deepEqual(
    parsed.map((answer) => answer.error_code),
    [1, 0, 0, 0, 1, 0, 1],
  )
  assert.deepEqual(parsed[1]?.data, { username: 'alice', role: 'crypto-user' })
  assert.deepEqual(parsed[2]?.data, { matched_keys: [], total_key_count: 0, returned_key_count: 0 })
  assert.equal(parsed[5]?.data, 'Logout successful')
  assert.equal(hsm.calls.filter((op) => op === 'login').length, 1)
  assert.equal(hsm.calls.filter((op) => op === 'hello').length, 1, 'one connection for all')
  assert.equal(code, 1, 'piped input with a failure in it')
  assert.equal(stderr, '')
  const log = readFileSync(join(tools.home, 'run/cloudhsm-cli.log'), 'utf8')
  assert.match(log, /command succeeded/)
  assert.doesNotMatch(stdout + log, /correct-horse|bobspass1/)
})
