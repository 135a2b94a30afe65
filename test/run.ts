/**
 * `npm test [-- FILE ...]`: every test file, or those named; one line for each, failures in full at the end, and as the
 * last line `N passed, N failed, N skipped`. All share one PostgreSQL server, which ends with this process.
 */
import { spawnSync } from 'node:child_process'
import { globSync, statSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { run } from 'node:test'
import { type TestEvent } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { NODE_FLAGS } from '../infra/node/flags.ts'
import { keepPostgres, TEST_POSTGRES } from './support/database.ts'

type Result = Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>['data']

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Tests mostly wait for processes; more at once than this makes them wait for each other. */
const FILES_AT_ONCE = 2

const asked = process.argv.slice(2)
const files = (
  asked.length > 0
    ? asked.flatMap((path) => found(path))
    : globSync('**/*.test.ts', { cwd: ROOT, exclude: ['node_modules', '.*'] }).map((file) => resolve(ROOT, file))
).toSorted()

setUp()
// As in production: code that was compiled once is kept.
process.env['NODE_COMPILE_CACHE'] ??= resolve(ROOT, 'node_modules/.cache/node-compile')
if (process.env['STRONGROOM_TEST_DATABASE_URL'] === undefined) process.env[TEST_POSTGRES] = await keepPostgres()

const count = { passed: 0, failed: 0, skipped: 0 }
const failures: Result[] = []
const skipped: Result[] = []
const began = performance.now()

const events = run({ files, concurrency: FILES_AT_ONCE, cwd: ROOT, execArgv: [...NODE_FLAGS] })
for await (const event of events as AsyncIterable<TestEvent>) {
  if (event.type === 'test:pass' || event.type === 'test:fail') take(event.data, event.type === 'test:fail')
  else if (event.type === 'test:summary' && event.data.file !== undefined) {
    const { file, success, counts, duration_ms: ms } = event.data
    const what = `${counts.passed} of ${counts.tests}, ${(ms / 1000).toFixed(1)} s`
    console.log(`${success ? 'ok    ' : 'FAILED'} ${relative(ROOT, file)} (${what})`)
  } else if (event.type === 'test:stderr') process.stderr.write(event.data.message)
}
for (const failure of failures) describeFailure(failure)
for (const test of skipped)
  console.log(`skipped: ${where(test)} > ${test.name}: ${test.skip === true ? 'no reason given' : String(test.skip)}`)
console.log(`\n${files.length} files in ${((performance.now() - began) / 1000).toFixed(1)} s`)
if (count.passed === 0 && count.failed === 0) console.log('no test ran')
console.log(`${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0

/** The test files that a path, a folder or a pattern names. */
function found(path: string): string[] {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory()
  const matches = globSync(isFolder ? `${path}/**/*.test.ts` : path).map((file) => resolve(file))
  if (matches.length === 0) throw new Error(`there is no test file ${path}`)
  return matches
}

function take(test: Result, isFailed: boolean): void {
  if (isFileItself(test) || test.details.type === 'suite') {
    // What is in it speaks for itself, unless it failed before its first test or after its last.
    if (isFailed && isOwnFailure(test)) note(test)
  } else if (test.skip !== undefined && test.skip !== false) {
    count.skipped += 1
    skipped.push(test)
  } else if (isFailed) note(test)
  else count.passed += 1
}

function note(test: Result): void {
  count.failed += 1
  failures.push(test)
}

/** The runner reports a file as a test that has its path as its name. */
function isFileItself(test: Result): boolean {
  return test.file !== undefined && resolve(ROOT, test.name) === test.file
}

/** False of a suite or file that failed because something inside it did. */
function isOwnFailure(test: Result): boolean {
  const error: unknown = 'error' in test.details ? test.details.error : undefined
  return !(error instanceof Error && 'failureType' in error && error.failureType === 'subtestsFailed')
}

function describeFailure(test: Result): void {
  const error: unknown = 'error' in test.details ? test.details.error : undefined
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  const place = test.line === undefined ? '' : `:${test.line}`
  console.log(`\nfailed: ${where(test)}${place} > ${test.name}`)
  const text = typeof cause === 'string' ? cause : inspect(cause, { depth: 4, colors: process.stdout.isTTY })
  console.log(text.replaceAll(/^/gm, '  '))
}

function where(test: Result): string {
  return test.file === undefined ? '' : relative(ROOT, test.file)
}

/** Installs what some tests need and this machine lacks, where that is possible; the tests skip with a reason otherwise. */
function setUp(): void {
  if (['openssl', 'curl', 'aws', 'ip'].every((tool) => !spawnSync(tool, ['--version']).error)) return
  spawnSync('sh', [fileURLToPath(new URL('./setup.sh', import.meta.url))], { stdio: 'inherit' })
}
