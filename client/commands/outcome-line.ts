/** One outcome as a line for people. */
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  LeftOutReason,
  OutcomeReason,
  OutcomeStatus,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

export function isProved({ status }: Outcome): boolean {
  return status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE;
}

/** Number of validators in a bitlist. */
export function countBits(bits: Uint8Array): number {
  return bits.reduce((sum, byte) => sum + byte.toString(2).replaceAll("0", "").length, 0);
}

export function outcomeLine(outcome: Outcome): string {
  const name = OutcomeStatus[outcome.status].toLowerCase();
  const reason =
    outcome.reason === OutcomeReason.UNSPECIFIED
      ? ""
      : ` (${OutcomeReason[outcome.reason].toLowerCase()})`;
  const proof = isProved(outcome)
    ? `, ${countBits(outcome.participants)} validators in ${Math.round(outcome.proof.length / 1024)} KiB, ${outcome.proveMs} ms`
    : "";
  const inputs = outcome.leftOut.map(({ reason: why, input }) => {
    const who =
      input.case === "childIndex" ? `child ${input.value}` : `validator ${input.value ?? "?"}`;
    return `${who} ${LeftOutReason[why].toLowerCase()}`;
  });
  const left =
    inputs.length === 0
      ? ""
      : `; left out: ${inputs.slice(0, 4).join(", ")}${inputs.length > 4 ? ` and ${inputs.length - 4} more` : ""}`;
  const detail = outcome.detail === "" ? "" : `: ${outcome.detail}`;
  return `slot ${outcome.slot} group ${outcome.groupIndex}  ${name}${reason}${proof}${left}${detail}${outcome.fake ? "  [FAKE]" : ""}`;
}
