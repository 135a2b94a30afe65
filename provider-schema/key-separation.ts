/**
 * Which uses of a key exclude each other (docs/keys.md). `aws`: nothing more than AWS's rules. `trusted`: what is to be
 * wrapped with trusted keys only stays secret whatever its owner calls. `strict`: so does every sensitive key.
 */
export const KEY_SEPARATIONS = ['aws', 'trusted', 'strict'] as const
export type KeySeparation = (typeof KEY_SEPARATIONS)[number]
