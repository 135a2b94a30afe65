/** What a tool tells its user instead of a result. The message is printed as it stands. */
export class CliError extends Error {}
