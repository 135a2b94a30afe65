import { stat } from 'node:fs/promises'

/** Whether something is there; false too where that cannot be told. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
