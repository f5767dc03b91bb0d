/**
 * What happens to a call on the data plane around its handler. When the headers arrive its caller
 * is held to the policy and receipt stamped; memory is reserved then and as the message does; the
 * message is held to its method's limit and to the time it may take, an answer to its own; and what
 * was reserved is given back when the call ends, however it ends.
 */
import { constants } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import { ServerInterceptingCall } from "@grpc/grpc-js";
import type { Metadata, ServerInterceptingCallInterface, ServerInterceptor } from "@grpc/grpc-js";
import type { Access } from "../access/access.js";
import type { Credential } from "../access/policy.js";
import type { Clock } from "../clock.js";
import { invalid, Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { MemoryBudget, MemoryShare } from "../memory-budget.js";
import { credentialOf } from "./credential.js";
import { HeldAnswer } from "./held-answer.js";
import { withCertificate } from "../net/peer.js";
import type { Peer } from "../net/peer.js";
import { admitHeaders } from "./permission.js";
import {
  bytesToHold,
  CHUNK_BYTES,
  notReadInTime,
  overloaded,
  requestBytesMax,
} from "./request-limits.js";
import { statusOf } from "./status.js";

/** A request as the handler gets it: still encoded, so that one place counts and decodes it. */
export interface ReceivedRequest {
  bytes: Buffer;
  /** Monotonic instant at which the headers arrived. */
  receivedAtMs: number;
  /** Time that the call's own deadline left at receipt. */
  callDeadlineMs: number | undefined;
  peer: Peer;
  credential: Credential;
  /** As in `CallContext`. */
  holdAnswer(bytes: number): void;
}

export interface GrpcAdmissionModules {
  clock: Clock;
  memory: MemoryBudget;
  access: Access;
}

/** @param listener what the calls of one listener have in common */
export function admitCalls(
  listener: Peer,
  { clock, memory, access }: GrpcAdmissionModules,
): ServerInterceptor {
  return ({ path, requestStream }, call) => {
    const receivedAtMs = clock.nowMs();
    // grpc-js looked at the system's clock in this very turn: no jump comes in between.
    const untilDeadlineMs = Number(call.getDeadline()) - clock.unixMs();
    const callDeadlineMs = Number.isFinite(untilDeadlineMs) ? untilDeadlineMs : undefined;
    let peer = listener;
    let credential: Credential = { kind: "nothing" };
    let share: MemoryShare | undefined;
    let hasMessage = false;
    let cancelTimer = () => {};
    const inside = call as unknown as CallInside;
    const cut = () => inside.stream.close(constants.NGHTTP2_CANCEL);
    const answer = new HeldAnswer(cut, { clock, memory });
    const holdAnswer = (bytes: number) => answer.hold(bytes);
    const refuse = (error: unknown) => {
      const { code, message } = statusOf(error);
      call.sendStatus({ code, details: message });
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, forward) => {
            try {
              peer = grpcPeer(listener, call);
              credential = grpcCredential(peer, metadata);
              admitHeaders(access, credential, path);
              share = memory.reserveForCall(bytesToHold(0));
              if (share === undefined) throw overloaded();
              if (inside.incomingEncoding !== "identity") throw compressed();
            } catch (refusal) {
              refuse(refusal);
              return;
            }
            const hold = (bytes: number) => share?.resize(bytesToHold(bytes)) === true;
            limitMessage(inside.decoder, requestBytesMax(path), hold, () => refuse(overloaded()));
            const late = () => refuse(notReadInTime());
            cancelTimer = clock.at(receivedAtMs + limits.requestReadMsMax, late);
            forward(metadata);
          },
          onReceiveMessage: (message: unknown, forward) => {
            hasMessage = true;
            if (requestStream) cancelTimer();
            // Health and reflection decode their own, and are small.
            if (!Buffer.isBuffer(message)) forward(message);
            else {
              share?.resize(message.length);
              const times = { receivedAtMs, callDeadlineMs };
              const received = { ...times, bytes: message, peer, credential, holdAnswer };
              forward(received satisfies ReceivedRequest);
            }
          },
          onReceiveHalfClose: (forward) => {
            cancelTimer();
            if (hasMessage || requestStream) forward();
            else refuse(invalid("", "the request ended before its message was whole"));
          },
          // Told of every end, a good one included.
          onCancel: () => {
            cancelTimer();
            share?.release();
            answer.release();
          },
        }),
    });
  };
}

/** Under this name the operator's handlers find who calls, whatever the caller sent under it. */
export const PRINCIPAL_KEY = "lean-principal";

/** For the operator's listener: its calls are few and small, so only who calls is looked at. */
export function admitOperator(listener: Peer, access: Access): ServerInterceptor {
  return ({ path }, call) =>
    new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, forward) => {
            try {
              const credential = grpcCredential(grpcPeer(listener, call), metadata);
              const principal = admitHeaders(access, credential, path);
              metadata.set(PRINCIPAL_KEY, principal?.name ?? "");
            } catch (error) {
              const { code, message } = statusOf(error);
              call.sendStatus({ code, details: message });
              return;
            }
            forward(metadata);
          },
        }),
    });
}

/** grpc-js shows a certificate only when it has been checked. */
function grpcPeer(listener: Peer, call: ServerInterceptingCallInterface): Peer {
  return withCertificate(listener, call.getAuthContext().sslPeerCertificate?.raw);
}

function grpcCredential(peer: Peer, metadata: Metadata): Credential {
  const sent = metadata.get("authorization");
  return credentialOf(peer, sent.length === 0 ? undefined : sent.join(","));
}

/**
 * What of grpc-js's call is looked at or changed here, for want of options. All of it is private,
 * but the version is pinned, and `test/rpc/limits/limits.test.ts` fails when it moves.
 */
interface CallInside {
  /** Of the request; grpc-js hides the header from interceptors. */
  incomingEncoding: string;
  decoder: MessageDecoder;
  stream: ServerHttp2Stream;
}

interface MessageDecoder {
  maxReadMessageLength: number;
  /** The messages that are whole now. */
  write(data: Buffer): Buffer[];
}

/** Holds one call to its own limit, where grpc-js has one for all, and to what memory has room for. */
function limitMessage(
  decoder: MessageDecoder,
  bytesMax: number,
  hold: (bytes: number) => boolean,
  refuse: () => void,
): void {
  decoder.maxReadMessageLength = bytesMax;
  const write = decoder.write.bind(decoder);
  let heldBytes = 0;
  decoder.write = (data) => {
    heldBytes += data.length + CHUNK_BYTES;
    if (hold(heldBytes)) return write(data);
    refuse();
    return [];
  };
}

/** Signatures and proofs do not compress, and 24 KB may inflate to 24 MB. */
function compressed(): Refusal {
  return new Refusal("unimplemented", "", "compressed requests are not taken");
}
