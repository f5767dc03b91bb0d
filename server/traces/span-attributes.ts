/** What the spans say of a snapshot, a group and a proof. Names, sizes and counts; no key, signature or proof. */
import { OutcomeReason, OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Size, ValueOf } from "./attempts-in-progress.js";
import type { Attributes, Span } from "./span.js";

export function whoOf({
  nodeId = "",
  requestId = "",
  slot = 0n,
}: Pick<ValueOf<"skipped">, "nodeId" | "requestId" | "slot">): Attributes {
  return { "lean.node": nodeId, "lean.request": requestId, "lean.slot": Number(slot) };
}

/** The inputs of a group or of a proof. */
export function sizeOf({ rawSignatures = 0, children = 0, messages = 0 }: Size): Attributes {
  const merged = messages > 0 && { "lean.messages": messages };
  return { "lean.raw_signatures": rawSignatures, "lean.children": children, ...merged };
}

/** The votes in no proof, by fate. */
export function fatesOf(votes: Readonly<Record<string, unknown>>): Attributes {
  const counted = Object.entries(votes).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number" && entry[1] > 0,
  );
  const snake = (name: string) => name.replace(/[A-Z]/g, "_$&").toLowerCase();
  return Object.fromEntries(counted.map(([fate, count]) => [`lean.votes_${snake(fate)}`, count]));
}

export function endingOf({ status = 0, reason = 0 }: ValueOf<"ended">): Attributes {
  const why = reason !== OutcomeReason.UNSPECIFIED && {
    "lean.reason": OutcomeReason[reason].toLowerCase(),
  };
  return { "lean.status": OutcomeStatus[status].toLowerCase(), ...why };
}

/** Ends that the node or the operator asked for are no errors. */
const asked: readonly OutcomeReason[] = [OutcomeReason.SUPERSEDED, OutcomeReason.CANCELLED];

export function statusOf({ status = 0, reason = 0 }: ValueOf<"ended">): Span["status"] {
  switch (status) {
    case OutcomeStatus.PROVED:
    case OutcomeStatus.PROVED_LATE:
    case OutcomeStatus.NOTHING_TO_PROVE:
      return "ok";
    default: {
      if (asked.includes(reason)) return "unset";
      const names = [OutcomeStatus[status], ...(reason === 0 ? [] : [OutcomeReason[reason]])];
      return { error: names.join(": ").toLowerCase() };
    }
  }
}
