/** From the command to a service that answers: on an empty directory, and again on the same one; medians. */
import { startProduct, type Product } from '../test/support/product.ts'
import { median, report } from './support/report.ts'

const ROUNDS = 5
const TWO = ['us-east-1', 'eu-west-1']

/** Starts, notes the seconds it took, stops. */
async function startOnce(into: number[], start: () => Promise<Product>): Promise<Product> {
  const began = performance.now()
  const product = await start()
  into.push((performance.now() - began) / 1000)
  await product.stop()
  return product
}

const seconds = { first: [], again: [], firstOfTwo: [] } satisfies Record<string, number[]>
for (let round = 0; round < ROUNDS; round += 1) {
  const one = await startOnce(seconds.first, () => startProduct())
  await startOnce(seconds.again, () => one.again())
  await one.dispose()
  const two = await startOnce(seconds.firstOfTwo, () => startProduct({ regions: TWO }))
  await two.dispose()
}

report('From `strongroom up` to ready (PostgreSQL included)', [
  { what: 'first start, initdb included', ours: median(seconds.first), unit: 's', bar: '< 3 s' },
  { what: 'again, on the same data', ours: median(seconds.again), unit: 's', bar: '< 1.5 s' },
  { what: 'first start, two regions', ours: median(seconds.firstOfTwo), unit: 's' },
])
