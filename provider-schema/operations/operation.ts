/** What every operation of CloudHSM v2 declares about itself. Pure data. */
import type { z } from 'zod'
import type { ErrorCode } from '../errors.ts'

export interface OperationSpec<
  Name extends string = string,
  Input extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
> {
  readonly name: Name
  readonly input: Input
  readonly output: Output
  /** The errors that the service model declares for it; the front end's own are not among them. */
  readonly errors: readonly ErrorCode[]
  /** Whether it answers yet; one that does not says so. */
  readonly available: boolean
}

/** Keeps the literal types of a spec. */
export function operationSpec<Name extends string, Input extends z.ZodType, Output extends z.ZodType>(
  spec: OperationSpec<Name, Input, Output>,
): OperationSpec<Name, Input, Output> {
  return spec
}

/** Errors that every operation may answer with. */
const COMMON = [
  'CloudHsmAccessDeniedException',
  'CloudHsmInternalFailureException',
  'CloudHsmInvalidRequestException',
  'CloudHsmServiceException',
] as const satisfies readonly ErrorCode[]

/** The model's error lists, by what an operation does. DescribeClusters alone declares no NotFound. */
export const ERRORS_OF = {
  onResource: [...COMMON, 'CloudHsmResourceNotFoundException'],
  onTaggable: [...COMMON, 'CloudHsmResourceNotFoundException', 'CloudHsmTagException'],
  describeClusters: [...COMMON, 'CloudHsmTagException'],
  tagResource: [
    ...COMMON,
    'CloudHsmResourceNotFoundException',
    'CloudHsmTagException',
    'CloudHsmResourceLimitExceededException',
  ],
} as const satisfies Record<string, readonly ErrorCode[]>
