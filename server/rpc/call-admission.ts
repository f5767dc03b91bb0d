/**
 * From an HTTP request to connect's handlers, in place of connect-node's own adapter: for what has
 * to happen before and while a body is read. When the headers arrive the caller is held to the
 * policy and receipt stamped, memory is reserved then and as the body does, and what was reserved,
 * for the answer too, is given back when the call ends, however it ends.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import { createContextKey, createContextValues } from "@connectrpc/connect";
import type { ConnectRouter } from "@connectrpc/connect";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { Access } from "../access/access.js";
import type { Credential } from "../access/policy.js";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { MemoryBudget } from "../memory-budget.js";
import { takeTimeoutMs } from "./call-timeout.js";
import { credentialOf } from "./credential.js";
import { HeldAnswer } from "./held-answer.js";
import type { Peer } from "../net/peer.js";
import { admitHeaders } from "./permission.js";
import { readRequest } from "./read-request.js";
import {
  bytesToHold,
  mediaTypeOf,
  notReadInTime,
  overloaded,
  requestBytesMax,
} from "./request-limits.js";
import { connectErrorOf } from "./status.js";

export type EdgeRequest = IncomingMessage | Http2ServerRequest;
export type EdgeResponse = ServerResponse | Http2ServerResponse;

/** What was noted when a call's headers arrived, for its handler. */
export interface Receipt {
  /** Monotonic. */
  receivedAtMs: number;
  /** Time that the call's own deadline left. */
  callDeadlineMs: number | undefined;
  peer: Peer;
  credential: Credential;
  /** As in `CallContext`. */
  holdAnswer(bytes: number): void;
}

export const receiptKey = createContextKey<Receipt | undefined>(undefined);

export interface ConnectAdapterModules {
  clock: Clock;
  log: Logger;
  memory: MemoryBudget;
  access: Access;
}

export class ConnectAdapter {
  private readonly handlers: ReadonlyMap<string, ConnectRouter["handlers"][number]>;

  constructor(
    router: ConnectRouter,
    private readonly modules: ConnectAdapterModules,
  ) {
    this.handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  }

  serves(path: string): boolean {
    return this.handlers.has(path);
  }

  /** Serves a call of a path that it `serves`. */
  handle(path: string, request: EdgeRequest, response: EdgeResponse, peer: Peer): void {
    this.answer(path, request, response, peer).catch((error: unknown) => {
      // Most often the caller is gone; otherwise it sent what has no answer, such as no authority.
      if (!response.destroyed) this.modules.log.warn({ err: error, path }, "call cut");
      response.destroy();
    });
  }

  private async answer(path: string, request: EdgeRequest, response: EdgeResponse, peer: Peer) {
    const handler = this.handlers.get(path);
    if (handler === undefined) throw new Error(`${path} is not served`);
    // Connect takes any spelling: limits and decoder must be chosen by the same one.
    const { headers } = request;
    if (headers["content-type"] !== undefined)
      headers["content-type"] = mediaTypeOf(headers["content-type"]);
    const { clock, memory, access } = this.modules;
    const receivedAtMs = clock.nowMs();
    const credential = edgeCredential(peer, headers);
    const callDeadlineMs = takeTimeoutMs(headers);
    const held = new HeldAnswer(() => response.destroy(), { clock, memory });
    response.once("close", () => held.release());
    const holdAnswer = (bytes: number) => held.hold(bytes);
    const receipt: Receipt = { receivedAtMs, callDeadlineMs, peer, credential, holdAnswer };
    const values = createContextValues().set(receiptKey, receipt);
    const universal = universalRequestFromNodeRequest(request, response, undefined, values);

    const bytesMax = requestBytesMax(path, headers["content-type"]);
    const announced = announcedBytes(request);
    const read = async () => {
      admitHeaders(access, credential, path);
      const share = memory.reserveForCall(Math.min(bytesToHold(0), announced ?? Infinity));
      if (share === undefined) throw overloaded();
      response.once("close", () => share.release());
      const timeMs = Math.min(limits.requestReadMsMax, receipt.callDeadlineMs ?? Infinity);
      if (timeMs === 0) throw notReadInTime();
      const lateAtMs = receivedAtMs + timeMs;
      const hold = (held: number) =>
        share.resize(Math.min(bytesToHold(held), announced ?? Infinity));
      const options = { method: handler.method, bytesMax, lateAtMs, clock, hold };
      const bytes = await readRequest(request, response, options);
      share.resize(bytes.length);
      return bytes;
    };
    const reading = read();
    // Connect reads it, and so puts a refusal into the caller's own protocol; or it refuses first.
    reading.catch(() => undefined);
    const answer = await handler({ ...universal, body: once(reading) });
    await universalResponseToNodeResponse(answer, response);
  }
}

export function edgeCredential(peer: Peer, { authorization }: IncomingHttpHeaders): Credential {
  return credentialOf(peer, authorization);
}

/** The body's length, where the headers tell it. */
function announcedBytes({ headers }: EdgeRequest): number | undefined {
  const text = headers["content-length"] ?? "";
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

async function* once(reading: Promise<Buffer>): AsyncGenerator<Uint8Array> {
  try {
    yield await reading;
  } catch (error) {
    throw connectErrorOf(error);
  }
}
