/**
 * Reads `StreamActivity` by the Connect protocol, in JSON: each message comes in an envelope of one byte
 * of flags and four of length, and the last one says how the call ended.
 */
import type { Answer } from "../model/answer.js";
import { answerOf } from "../model/answer.js";

const PATH = "/lean.aggregator.admin.v1.AdminService/StreamActivity";
const HEAD_BYTES = 5;
/** Flag of the last envelope. */
const END = 2;
/**
 * A service answers at least each second. After this time without a byte it hangs, or the connection is
 * dead, which a browser does not notice by itself.
 */
const SILENCE_MS_MAX = 5000;
/** An answer has at most 512 activities; more than this is not one. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;

/** Why the stream ended: the code is Connect's, such as `unauthenticated`. */
export class StreamError extends Error {
  override readonly name = "StreamError";

  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Yields the answers until the service ends the stream. Throws `StreamError` when the service refuses,
 * fails or falls silent, and the browser's error when it cannot be reached.
 *
 * @param token the caller's token; empty: the call has no token
 */
export async function* answers(
  token: string,
  silenceMsMax = SILENCE_MS_MAX,
): AsyncGenerator<Answer, void, undefined> {
  const silent = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), silenceMsMax);
  };
  heard();
  try {
    yield* read(token, { signal: silent.signal, heard });
  } catch (error) {
    if (!silent.signal.aborted) throw error;
    throw new StreamError("unavailable", `no answer for ${silenceMsMax / 1000} s`);
  } finally {
    clearTimeout(timer);
  }
}

interface Listening {
  signal: AbortSignal;
  /** To be called for all that comes. */
  heard(): void;
}

async function* read(
  token: string,
  { signal, heard }: Listening,
): AsyncGenerator<Answer, void, undefined> {
  const response = await fetch(PATH, {
    method: "POST",
    headers: {
      "content-type": "application/connect+json",
      "connect-protocol-version": "1",
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
    },
    body: envelope("{}"),
    signal,
  });
  if (!response.ok || response.body === null) {
    throw new StreamError(`http ${response.status}`, await response.text());
  }
  for await (const { flags, text } of envelopes(response.body.getReader(), heard)) {
    const json: unknown = JSON.parse(text);
    if (flags !== END) yield answerOf(json);
    else throwIfFailed(json);
  }
}

function throwIfFailed(end: unknown): void {
  if (typeof end !== "object" || end === null || !("error" in end)) return;
  const { error } = end;
  if (typeof error !== "object" || error === null) return;
  const code = "code" in error ? String(error.code) : "unknown";
  throw new StreamError(code, "message" in error ? String(error.message) : code);
}

function envelope(text: string): Uint8Array<ArrayBuffer> {
  const body = new TextEncoder().encode(text);
  const bytes = new Uint8Array(HEAD_BYTES + body.length);
  new DataView(bytes.buffer).setUint32(1, body.length);
  bytes.set(body, HEAD_BYTES);
  return bytes;
}

async function* envelopes(reader: ReadableStreamDefaultReader<Uint8Array>, heard: () => void) {
  let bytes = new Uint8Array(0);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      const joined = new Uint8Array(bytes.length + value.length);
      joined.set(bytes);
      joined.set(value, bytes.length);
      bytes = joined;
      for (;;) {
        const length = lengthOf(bytes);
        if (length === undefined || bytes.length < HEAD_BYTES + length) break;
        const body = bytes.subarray(HEAD_BYTES, HEAD_BYTES + length);
        yield { flags: bytes[0] ?? 0, text: new TextDecoder().decode(body) };
        bytes = bytes.slice(HEAD_BYTES + length);
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The length of the first envelope's message; undefined while its head has not all come. */
function lengthOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  if (length > MESSAGE_BYTES_MAX) throw new StreamError("internal", "an answer is too large");
  return length;
}
