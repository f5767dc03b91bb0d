/**
 * Sends spans to a collector by OTLP over HTTP, in binary: one request at a time, over a connection of its
 * own. Nothing that the collector does delays or ends the service: each request has a time limit, an answer
 * a size limit, and redirects are not followed. No proxy is used, whatever the environment says.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { readFile } from "node:fs/promises";
import type { ClientRequest, IncomingMessage } from "node:http";
import {
  Agent as HttpAgent,
  request as httpRequest,
  validateHeaderName,
  validateHeaderValue,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { ExportTraceServiceResponseSchema } from "../../proto/gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { Clock } from "../clock.js";
import { fileReason } from "../files/file-reason.js";

/** Most milliseconds of a request, from the connection to the end of the answer. */
const REQUEST_MS_MAX = 5000;
/** An answer says at most why spans were rejected. */
const ANSWER_BYTES_MAX = 64 * 1024;
/** The statuses on which the standard says to try again. */
const RETRIED = [429, 502, 503, 504];
const MS_PER_S = 1000;

/** What became of a request. */
export type Sent =
  /** The collector has the spans, without `rejected` of them. */
  | { kind: "taken"; rejected: number; reason: string }
  /** It does not want these spans. */
  | { kind: "refused"; reason: string }
  /** It may take them later; after `afterMs` milliseconds, if it says when. */
  | { kind: "failed"; reason: string; afterMs?: number };

export interface CollectorOptions {
  /** Where to post requests. */
  url: string;
  /** JSON file of an object of headers, read for each request. Undefined: no headers. */
  headersFile: string | undefined;
}

export class Collector {
  private readonly agent;
  private readonly isEncrypted;

  constructor(
    private readonly options: CollectorOptions,
    private readonly modules: { clock: Clock },
  ) {
    this.isEncrypted = new URL(options.url).protocol === "https:";
    const kept = { keepAlive: true, maxSockets: 1 };
    this.agent = this.isEncrypted ? new HttpsAgent(kept) : new HttpAgent(kept);
  }

  /** Posts the body. Never rejects. */
  async send(body: Uint8Array): Promise<Sent> {
    const { clock } = this.modules;
    const abort = new AbortController();
    const cancel = clock.at(clock.nowMs() + REQUEST_MS_MAX, () => abort.abort());
    try {
      return await this.post(body, await this.headers(), abort.signal);
    } catch (error) {
      const late = `no answer within ${REQUEST_MS_MAX / MS_PER_S} s`;
      return { kind: "failed", reason: abort.signal.aborted ? late : reasonOf(error) };
    } finally {
      cancel();
    }
  }

  /** Cuts the connection. */
  close(): void {
    this.agent.destroy();
  }

  private async headers(): Promise<Record<string, string>> {
    const { headersFile } = this.options;
    if (headersFile === undefined) return {};
    let text: string;
    try {
      text = await readFile(headersFile, "utf8");
    } catch (error) {
      throw new Error(`${headersFile}: ${fileReason(error, headersFile)}`, { cause: error });
    }
    return headersIn(text, headersFile);
  }

  private post(
    body: Uint8Array,
    extra: Record<string, string>,
    signal: AbortSignal,
  ): Promise<Sent> {
    const headers = {
      ...extra,
      "content-type": "application/x-protobuf",
      "content-length": body.length,
      "user-agent": "lean-aggregator",
    };
    const make = this.isEncrypted ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const options = { method: "POST", agent: this.agent, headers, signal };
      const request: ClientRequest = make(this.options.url, options, (response) => {
        answerOf(response).then(resolve, reject);
      });
      request.on("error", reject);
      request.end(body);
    });
  }
}

/** The status alone decides: spans of a 2xx are not sent again, whatever its body is. */
async function answerOf(response: IncomingMessage): Promise<Sent> {
  const { statusCode = 0, headers } = response;
  const body = await bodyOf(response);
  if (statusCode >= 200 && statusCode < 300) return { kind: "taken", ...partialSuccess(body) };
  const reason = `HTTP status ${statusCode}`;
  if (!RETRIED.includes(statusCode)) return { kind: "refused", reason };
  const seconds = Number(headers["retry-after"]);
  return { kind: "failed", reason, ...(seconds > 0 && { afterMs: seconds * MS_PER_S }) };
}

/** The body; empty where it is too long, for which the connection is cut, or breaks off. Never rejects. */
async function bodyOf(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) return new Uint8Array();
      chunks.push(chunk);
    }
  } catch {
    return new Uint8Array();
  }
  return Buffer.concat(chunks);
}

/** What a collector that took the request says of single spans; nothing where it cannot be read. */
function partialSuccess(body: Uint8Array): { rejected: number; reason: string } {
  try {
    const { partialSuccess: part } = fromBinary(ExportTraceServiceResponseSchema, body);
    const { rejectedSpans = 0n, errorMessage = "" } = part ?? {};
    return { rejected: Math.max(0, Number(rejectedSpans)), reason: errorMessage };
  } catch {
    return { rejected: 0, reason: "" };
  }
}

/** Reads a file of headers. Throws an `Error` that says what is wrong, without a value: it is a secret. */
function headersIn(text: string, path: string): Record<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new Error(`${path} is not JSON`, { cause: error });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new Error(`${path} is not an object of headers, such as {"authorization": "Bearer …"}`);
  }
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]: [string, unknown]) => {
      if (typeof value !== "string") throw new Error(`${path}: ${name} is not a text`);
      try {
        validateHeaderName(name);
        validateHeaderValue(name, value);
      } catch (error) {
        throw new Error(`${path}: ${name} is no header`, { cause: error });
      }
      return [name.toLowerCase(), value];
    }),
  );
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
