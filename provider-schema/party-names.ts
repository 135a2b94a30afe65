/** How the parties of a fleet are named in certificates: one URI each, as subject alternative name. */

/** What comes before an HSM's id in its device certificate. */
export const HSM_URI = 'urn:strongroom:hsm:'
/** What comes before the name of a part of the control plane. */
export const CONTROL_URI = 'urn:strongroom:control:'

export const hsmUri = (hsmId: string) => HSM_URI + hsmId
export const controlUri = (name: string) => CONTROL_URI + name
