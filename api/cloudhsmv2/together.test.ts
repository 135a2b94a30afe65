import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { together } from './together.ts'

describe('one question for all who ask at the same time', () => {
  /** Questions in order, each answered when told to. */
  function questions() {
    const asked: PromiseWithResolvers<number>[] = []
    const ask = together(() => {
      const question = Promise.withResolvers<number>()
      asked.push(question)
      return question.promise
    })
    return { ask, asked }
  }

  test('is asked once for who calls before it is under way', async () => {
    const { ask, asked } = questions()
    const answers = Promise.all([ask(), ask(), ask()])
    await turn()
    assert.equal(asked.length, 1)
    asked[0]?.resolve(1)
    assert.deepEqual(await answers, [1, 1, 1])
  })

  test('is asked again for who calls while it is under way: no answer is older than its call', async () => {
    const { ask, asked } = questions()
    const first = ask()
    await turn()
    const later = [ask(), ask()]
    await turn()
    assert.equal(asked.length, 1)
    asked[0]?.resolve(1)
    assert.equal(await first, 1)
    await turn()
    assert.equal(asked.length, 2)
    asked[1]?.resolve(2)
    assert.deepEqual(await Promise.all(later), [2, 2])
    const last = ask()
    await turn()
    asked[2]?.resolve(3)
    assert.equal(await last, 3)
  })

  test('that fails, fails for those who asked it, and for nobody else', async () => {
    const { ask, asked } = questions()
    const first = ask()
    await turn()
    const second = ask()
    asked[0]?.reject(new Error('away'))
    await assert.rejects(first, /away/)
    await turn()
    asked[1]?.resolve(2)
    assert.equal(await second, 2)
  })
})
