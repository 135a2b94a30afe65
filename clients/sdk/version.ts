/** What our clients call themselves in `hello`: HSMs remember it, and a change of the HSM type asks for it. */
import packageJson from '../../package.json' with { type: 'json' }

/** A client's name with the version of this Strongroom. */
export const versioned = (name: string) => `${name}/${packageJson.version}`
