/** Subjects: tokens between dots. In a subscription a token may be `*`, and the last one `>`. */
import { quoted } from "../errors.js";
import { limits } from "../limits.js";

/** Ids of cells, doors and lane hosts: a dot would split the token. */
export const tokenPattern = /^[A-Za-z0-9_-]{1,64}$/;

/** What a token has to be, for errors. */
export const TOKEN_EXPECTED = "1 to 64 characters of A-Z a-z 0-9 _ -";

/** Tokens of the engine itself, such as those of inboxes, have more. */
const TOKEN = /^[A-Za-z0-9_$-]+$/;

/** Whether messages can be published on the subject. */
export function isSubject(subject: string): boolean {
  return subject.split(".").every((token) => TOKEN.test(token));
}

/** Throws RangeError when a message cannot be published so. */
export function checkMessage(subject: string, bytes: Uint8Array): void {
  if (!isSubject(subject)) {
    throw new RangeError(`no message can be published on subject ${quoted(subject)}`);
  }
  const { enginePayloadBytesMax: most } = limits;
  if (bytes.length <= most) return;
  throw new RangeError(`${bytes.length} bytes on ${subject}: a message has ${most} at most`);
}

/** Throws RangeError when the subject cannot be subscribed to. */
export function checkPattern(pattern: string): void {
  const tokens = pattern.split(".");
  const isToken = (token: string, at: number) =>
    token === "*" || (token === ">" && at === tokens.length - 1) || TOKEN.test(token);
  if (tokens.every(isToken)) return;
  throw new RangeError(`nobody can subscribe to subject ${quoted(pattern)}`);
}

/** Whether a subscription to `pattern` hears messages on `subject`. */
export function matches(pattern: string, subject: string): boolean {
  const tokens = subject.split(".");
  const wanted = pattern.split(".");
  const isRest = wanted.at(-1) === ">";
  if (isRest) wanted.pop();
  if (isRest ? tokens.length <= wanted.length : tokens.length !== wanted.length) return false;
  return wanted.every((token, at) => token === "*" || token === tokens[at]);
}
