/**
 * Keeps passwords and tokens in the URLs of requirements out of everything that is written: the files of an environment
 * hold `https://***@host/…`, and only the memory of this process knows what stood there.
 *
 * @module
 */

/** User and password, or a token alone, as http takes them. `git@` of an ssh URL is no secret. */
const CREDENTIALS_REGEXP = /([a-z][a-z0-9+.-]*:\/\/)([^\s/@:]*:[^\s/@]*|(?<=https?:\/\/)[^\s/@:]+)@/gi;

const MASK = "***@";

/** What was concealed, by the line as it is written. */
const concealed = new Map<string, string>();

/** A line as it may be written to a file. */
export function conceal(line: string): string {
  const shown = line.replace(CREDENTIALS_REGEXP, `$1${MASK}`);
  if (shown !== line) concealed.set(shown, line);
  return shown;
}

/**
 * A line as an installer needs it. What another process has concealed is not known here: then it goes without, and the
 * installer may find credentials in the user's netrc or keyring.
 */
export function reveal(line: string): string {
  return concealed.get(line) ?? line.replaceAll(`://${MASK}`, "://");
}

/** Whether a line lacks credentials that it was written with. */
export function lacksCredentials(line: string): boolean {
  return line.includes(`://${MASK}`) && !concealed.has(line);
}
