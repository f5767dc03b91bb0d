/**
 * Reads JSON that people type: a byte order mark is skipped, and an error says line and column. A
 * key that stands twice in an object is an error, too: `JSON.parse` would take the last in silence.
 */
import { parse as parseToFirstError } from "lossless-json";
import { cut, wellFormed } from "../errors.js";
import { placeOf } from "./safe-parse.js";

/** What is wrong with a JSON text or with a value in it. `message` has both parts. */
export class JsonError extends Error {
  override readonly name = "JsonError";

  /**
   * @param place path of the value, such as `groups[3].data`; empty for the whole text
   * @param detail what is wrong there, beginning with a verb
   */
  constructor(
    readonly place: string,
    readonly detail: string,
  ) {
    super(place === "" ? detail : `${place}: ${detail}`);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });
const lenientUtf8 = new TextDecoder();
const BYTE_ORDER_MARK = "\uFEFF";
const REPLACEMENT = "\uFFFD";
/** Longest request in which a syntax error is located: about 30 ms. */
const UNTRUSTED_LENGTH_MAX = 128 * 1024;
/** Most keys and indices in the path of a value: those of the messages are not as deep. */
const PATH_LENGTH_MAX = 16;
const BLANK = 0x20;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/**
 * The value of a JSON text in UTF-8, from a caller that may be malicious: to locate an error in a
 * long text takes ten times as long as to find that there is one. Throws `JsonError`.
 */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  return parseJsonText(decodeText(bytes), UNTRUSTED_LENGTH_MAX);
}

/** The text of bytes in UTF-8, without a byte order mark. Throws `JsonError`. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    const [first, second] = bytes;
    const isUtf16 = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
    if (isUtf16) throw new JsonError("", "is UTF-16: save it as UTF-8");
    const text = lenientUtf8.decode(bytes);
    throw new JsonError("", `is not UTF-8${placeAt(text, text.indexOf(REPLACEMENT))}`);
  }
}

/**
 * The value of a JSON text. Throws `JsonError`.
 * @param locatedLengthMax most characters of a text in which a syntax error is located
 */
export function parseJsonText(text: string, locatedLengthMax = Infinity): unknown {
  const plain = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  let value: unknown;
  try {
    value = JSON.parse(plain);
  } catch (error) {
    throw new JsonError("", `is not JSON${syntaxErrorIn(plain, error, locatedLengthMax)}`);
  }
  if (membersIn(plain) !== keysIn(value)) throw repeatedKeyIn(plain);
  return value;
}

/** ` at line L column C` of the character at `index`. */
function placeAt(text: string, index: number): string {
  let line = 1;
  let lineStart = 0;
  for (let end = text.indexOf("\n"); end !== -1 && end < index; end = text.indexOf("\n", end + 1)) {
    line++;
    lineStart = end + 1;
  }
  return ` at line ${line} column ${Math.max(0, index - lineStart) + 1}`;
}

/** Where and what the first error is: `JSON.parse` does not always say. */
function syntaxErrorIn(text: string, error: unknown, locatedLengthMax: number): string {
  let message = error instanceof Error ? error.message : String(error);
  try {
    if (text.length <= locatedLengthMax)
      parseToFirstError(text, undefined, { parseNumber: () => 0, onDuplicateKey: () => 0 });
  } catch (found) {
    if (found instanceof SyntaxError) ({ message } = found);
  }
  const [position = "", index] = / at position (\d+)$/.exec(message) ?? [];
  const where = index === undefined ? "" : placeAt(text, Number(index));
  const found = message.slice(0, message.length - position.length);
  const what = found.replaceAll(/\p{Cc}/gu, (control) => JSON.stringify(control).slice(1, -1));
  // It quotes the text, and may cut a character in two.
  return `${where}: ${wellFormed(what).replace(/^[A-Z](?![A-Z])/, (first) => first.toLowerCase())}`;
}

/** The number of `key: value` pairs that the text of a JSON value has. */
function membersIn(text: string): number {
  let members = 0;
  for (let at = text.indexOf('"'); at !== -1; at = text.indexOf('"', at)) {
    at = endOfString(text, at);
    if (isColonNext(text, at)) members++;
  }
  return members;
}

/** The index behind the string that starts at `start`, in a text that is JSON. */
function endOfString(text: string, start: number): number {
  for (let end = start + 1; ; end++) {
    end = text.indexOf('"', end);
    let escapes = end;
    while (text.charCodeAt(escapes - 1) === BACKSLASH) escapes--;
    if ((end - escapes) % 2 === 0) return end + 1;
  }
}

function isColonNext(text: string, at: number): boolean {
  while (text.charCodeAt(at) <= BLANK) at++;
  return text.charCodeAt(at) === COLON;
}

/** The number of keys of all objects in a value that `JSON.parse` has returned. */
function keysIn(value: unknown): number {
  let keys = 0;
  const rest = [value];
  for (let each = rest.pop(); each !== undefined; each = rest.pop()) {
    if (typeof each !== "object" || each === null) continue;
    const inner: unknown[] = Array.isArray(each) ? each : Object.values(each);
    if (inner !== each) keys += inner.length;
    for (const one of inner) if (typeof one === "object" && one !== null) rest.push(one);
  }
  return keys;
}

/** The path of a value as a text. A caller may have typed it: long keys and the start are cut. */
export function jsonPlaceOf(path: readonly (string | number)[]): string {
  const end = path.length > PATH_LENGTH_MAX ? ["…", ...path.slice(-PATH_LENGTH_MAX)] : path;
  return placeOf(end.map((part) => (typeof part === "string" ? cut(part) || '""' : part)));
}

/** The error for the first key that an object of the text, which is JSON, has twice. */
function repeatedKeyIn(text: string): JsonError {
  /** The open objects and lists: the keys of an object so far, and the current key or index. */
  const open: { keys: Set<string> | undefined; at: string | number }[] = [];
  for (let at = 0; at < text.length; at++) {
    const inner = open.at(-1);
    const char = text[at];
    if (char === "{") open.push({ keys: new Set(), at: "" });
    else if (char === "[") open.push({ keys: undefined, at: 0 });
    else if (char === "}" || char === "]") open.pop();
    else if (char === "," && typeof inner?.at === "number") inner.at++;
    if (char !== '"') continue;
    const end = endOfString(text, at);
    if (inner?.keys !== undefined && isColonNext(text, end)) {
      inner.at = String(JSON.parse(text.slice(at, end)));
      if (inner.keys.has(inner.at)) {
        const detail = `is there twice, again${placeAt(text, at)}`;
        return new JsonError(jsonPlaceOf(open.map((each) => each.at)), detail);
      }
      inner.keys.add(inner.at);
    }
    at = end - 1;
  }
  return new JsonError("", "has an object with the same key twice");
}
