/** How large requests may be, of each method, for both stacks; and what may be in a snapshot. */
import type { DescMethod } from "@bufbuild/protobuf";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { SnapshotLimits } from "../admission/decode-snapshot.js";

export const methodPath = ({ parent, name }: DescMethod) => `/${parent.typeName}/${name}`;

const { method } = AggregatorService;
const larger: Record<string, number> = {
  [methodPath(method.submitSnapshot)]: limits.snapshotBytesMax,
  [methodPath(method.verifyAggregate)]: limits.verifyBytesMax,
};

/** Bytes of one request message, without framing. */
export function requestBytesMax(path: string, contentType = ""): number {
  const bytesMax = larger[path] ?? limits.requestBytesMax;
  return isJson(contentType) ? Math.min(bytesMax, limits.jsonBytesMax) : bytesMax;
}

/** The service's own limits, and the backend's, where it has some. */
export function snapshotLimits(of: ProverDescription): SnapshotLimits {
  const { publicKeyBytes, signatureBytes } = of;
  const childrenMax = Math.min(limits.childrenMax, of.childrenMax || Infinity);
  const proofBytesMax = Math.min(limits.proofBytesMax, of.proofBytesMax || Infinity);
  return { ...limits, childrenMax, proofBytesMax, publicKeyBytes, signatureBytes };
}

export function isJson(contentType: string): boolean {
  return mediaTypeOf(contentType).endsWith("json");
}

/** A content type without its parameters, in lower case: HTTP makes no difference of case. */
export function mediaTypeOf(contentType: string): string {
  const [type = ""] = contentType.split(";");
  return type.trim().toLowerCase();
}

/** What one piece of a request takes besides its bytes, however few those are. */
export const CHUNK_BYTES = 256;

/**
 * The share of a request of which so many bytes are there: in steps of the smallest. A request that
 * trickles in holds no more than it has sent; reserved for all that it may become, twenty of them
 * would keep every snapshot out.
 */
export function bytesToHold(receivedBytes: number): number {
  const step = limits.requestBytesMax;
  return Math.max(1, Math.ceil(receivedBytes / step)) * step;
}

/** For a call whose share does not fit in the memory budget: refused then and there. */
export function overloaded(what: "request" | "answer" = "request"): Refusal {
  return new Refusal("resource_exhausted", "", `overloaded: no memory is free for this ${what}`);
}

/** For a request that took too long to arrive. */
export function notReadInTime(): Refusal {
  return new Refusal("deadline_exceeded", "", "the request did not arrive in time");
}
