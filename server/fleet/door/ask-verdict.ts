/** Asks one lane host to verify a proof: names keys and proof, which it fetches while it needs them. */
import { concat } from "../../bytes.js";
import type { ClaimedProof } from "../../prover/prover.js";
import { limits } from "../../limits.js";
import { decodeVerdict } from "../wire/codec.js";
import type { Asked, Verdict } from "../wire/messages.js";
import type { HostWire } from "./host-wire.js";
import type { KeptBytes } from "./kept-bytes.js";

/** A host verifies in 20 to 100 ms; one that hangs is silent by then. */
const VERIFY_MS = 1000;
/** Share of a message that inline bytes may take. */
const INLINE_SHARE = 0.9;

/**
 * Rejects when the host gives no verdict in time, and when one of the signals aborts. Without memory for
 * the bytes the host is not asked, and counts as busy.
 */
export async function askVerdict(
  asked: ClaimedProof,
  system: string,
  signals: readonly AbortSignal[],
  { wire, kept }: { wire: Pick<HostWire, "request">; kept: KeptBytes },
): Promise<Verdict> {
  const { bytes, claims } = asked;
  const all = concat(claims.map(({ keys }) => keys));
  const keys = kept.keep(all);
  const proof = kept.keep(bytes);
  try {
    if (keys === undefined || proof === undefined) {
      return { kind: "unable", why: "no memory is free for what it would fetch", isBusy: true };
    }
    const inlineMax = limits.enginePayloadBytesMax * INLINE_SHARE;
    const fits = all.length + bytes.length < inlineMax;
    const named = fits ? keys.blob : { ...keys.blob, inline: undefined };
    const of = askedOf(asked);
    const question = { kind: "verify", system, of, keys: named, proof: proof.blob } as const;
    const answer = wire.request(question, VERIFY_MS);
    return decodeVerdict(await unlessAborted(answer, signals));
  } finally {
    keys?.release();
    proof?.release();
  }
}

function askedOf({ kind, claims }: ClaimedProof): Asked {
  const each = claims.map(({ root, slot, keys }) => {
    return { message: { root, slot }, keyBytes: keys.length };
  });
  if (kind === "merge") return { kind, claims: each };
  const [only] = each;
  if (only === undefined || each.length > 1) throw new Error("a fold has one claim");
  return { kind, message: only.message };
}

/** The answer, unless one of the signals aborts first: then it rejects. */
async function unlessAborted<T>(answer: Promise<T>, signals: readonly AbortSignal[]): Promise<T> {
  // No `AbortSignal.any`: in Node 20 the host's signal would keep one of each call.
  for (const signal of signals) signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new Error("no verdict is wanted any more, or the host is gone"));
    for (const signal of signals) signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    for (const signal of signals) signal.removeEventListener("abort", stop);
  }
}
