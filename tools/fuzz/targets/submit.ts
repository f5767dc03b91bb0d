/**
 * A request to SubmitSnapshot, through sessions and lanes to its last outcome: every group of an
 * accepted one ends exactly once and accounts for every input, and nothing is held afterwards.
 */
import type {
  Group,
  Outcome,
  StreamResultsResponse,
  SubmitSnapshotRequest,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
  StreamResultsRequestSchema,
  SubmitSnapshotRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { create } from "@bufbuild/protobuf";
import { bitsToIndices, decodeSszBitlist } from "../../../proto/bitlist.js";
import { protobufMutator } from "../engine/mutate-protobuf.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { decodeRequest, InProcess } from "../in-process.js";
import { checkRefusal } from "../refusals.js";
import { submitRequests } from "../seeds.js";

/** Nodes are remembered for ever, up to a limit that is not this target's. */
const RUNS_A_SERVICE = 200;

export const target = submitTarget("submit", 0);

/** @param leafRawsMax as in `InProcess.start` */
export function submitTarget(name: string, leafRawsMax: number): FuzzTarget {
  return {
    name,
    bytesMax: 64 * 1024,
    msMax: 100,
    msPerKb: 5,
    seeds: submitRequests,
    mutate: protobufMutator(SubmitSnapshotRequestSchema),
    open: async () => {
      let service = await InProcess.start(leafRawsMax);
      let runs = 0;
      return {
        run: async (input) => {
          if (++runs % RUNS_A_SERVICE === 0) {
            await service.close();
            service = await InProcess.start(leafRawsMax);
          }
          await run(service, input);
        },
        close: () => service.close(),
      };
    },
  };
}

async function run(service: InProcess, input: Uint8Array): Promise<void> {
  const context = service.context();
  let request: SubmitSnapshotRequest;
  let answer;
  try {
    request = decodeRequest(SubmitSnapshotRequestSchema, input);
    answer = service.handlers.submitSnapshot(request, context);
  } catch (error) {
    checkRefusal(error, [
      "invalid_argument",
      "failed_precondition",
      "resource_exhausted",
      "unimplemented",
    ]);
    return holds(service.memory.heldBytes === 0, "a refused snapshot holds nothing");
  }
  const { result } = answer;
  holds(result.case !== undefined, "a snapshot is accepted or skipped");
  if (result.case === "skipped") {
    holds(SkipReason[result.value.reason] !== undefined, "a skip has a reason");
    return holds(result.value.reason !== SkipReason.UNSPECIFIED, "a skip has a reason");
  }
  const { requestId, deadlineMs, fenceMs } = result.value;
  holds(deadlineMs <= fenceMs, "no deadline is past its fence");
  if (request.requestId !== "") {
    const again = service.handlers.submitSnapshot(request, service.context());
    holds(again.result.case === "accepted", "a retry is answered as the first time");
    holds(again.result.value.requestId === requestId, "a retry is answered as the first time");
  }
  const events = await eventsOf(service, request, requestId);
  const isFenced = service.clock.nowMs() >= context.receivedAtMs + fenceMs;
  checkEvents({ request, requestId, isFenced }, events);
  service.forgetAll();
  holds(service.memory.heldBytes === 0, "nothing is held once all is over");
}

async function eventsOf(
  service: InProcess,
  { node }: SubmitSnapshotRequest,
  requestId: string,
): Promise<StreamResultsResponse["event"][]> {
  const follow = create(StreamResultsRequestSchema, {
    node: node ?? {},
    awaited: [{ requestId }],
    awaitedOnly: true,
  });
  const events = [];
  for await (const { event } of service.handlers.streamResults(follow, service.context())) {
    events.push(event);
  }
  return events;
}

interface Accepted {
  request: SubmitSnapshotRequest;
  requestId: string;
  /** Its proofs may be erased by now. */
  isFenced: boolean;
}

function checkEvents(
  { request, requestId, isFenced }: Accepted,
  events: readonly StreamResultsResponse["event"][],
): void {
  const groups = request.snapshot?.groups ?? [];
  const outcomes = events.flatMap(({ case: kind, value }) => (kind === "outcome" ? [value] : []));
  const indices = outcomes.map(({ groupIndex }) => groupIndex).sort((a, b) => a - b);
  holds(String(indices) === String([...groups.keys()]), "every group ends exactly once");
  const last = events.at(-1);
  holds(last?.case === "summary", "the summary is last");
  holds(last.value.groups === groups.length, "the summary counts every group");
  const proved = outcomes.filter(({ status }) => status === OutcomeStatus.PROVED).length;
  holds(last.value.proved === proved, "the summary counts what was proved");
  for (const outcome of outcomes) {
    holds(outcome.requestId === requestId, "an outcome is its session's");
    checkOutcome(outcome, groups[outcome.groupIndex], isFenced);
    const group = groups[outcome.groupIndex];
    if (group !== undefined) checkVotes(outcome, group, request);
  }
}

function checkVotes({ votes }: Outcome, group: Group, request: SubmitSnapshotRequest): void {
  holds(votes !== undefined, "an outcome counts its votes");
  const { proved } = votes;
  const counts = Object.values(votes)
    .flat()
    .filter((each) => typeof each === "number");
  const sum = counts.reduce((total, count) => total + count, 0);
  const isSsz = request.snapshot?.sszBitlists === true;
  const bitsOf = (participants: Uint8Array) =>
    bitsToIndices(isSsz ? (decodeSszBitlist(participants)?.bits ?? participants) : participants);
  const inChildren = group.children.flatMap(({ participants }) => bitsOf(participants));
  const raws = group.rawSignatures.map(({ validatorIndex }) => validatorIndex);
  const merged = group.components.reduce((total, { claim, from }) => {
    if (from.case === "raws") return total + from.value.signatures.length;
    return total + bitsOf(claim?.participants ?? new Uint8Array()).length;
  }, 0);
  holds(sum === merged + new Set([...raws, ...inChildren]).size, "every vote has one fate");
  holds(proved.length === Math.max(1, request.steps.length) + 1, "one entry for each step");
}

function checkOutcome(outcome: Outcome, group: Group | undefined, isFenced: boolean): void {
  holds(group !== undefined, "an outcome is of a group");
  const { status, reason, participants, proof, leftOut } = outcome;
  holds(OutcomeStatus[status] !== undefined && status !== 0, "an outcome has a status");
  const isProved = status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE;
  if (!isFenced || !isProved) {
    holds(proof.length > 0 === isProved, "what is proved has a proof, and nothing else");
  }
  const needsReason =
    status === OutcomeStatus.NOT_STARTED ||
    status === OutcomeStatus.STOPPED ||
    status === OutcomeStatus.FAILED;
  holds((reason !== OutcomeReason.UNSPECIFIED) === needsReason, "an ending says why");
  holds(outcome.claims.length === group.components.length, "an outcome has the claims of a merge");
  if (group.components.length > 0) {
    holds(participants.length + outcome.message.length === 0, "a merge has no message of its own");
    return;
  }
  holds(participants.length > 0 === isProved, "what is proved has participants");
  holds(outcome.message.length === 32, "an outcome names its message");
  if (!isProved) return;
  const accounted = new Set(bitsToIndices(participants));
  for (const { input } of leftOut) {
    if (input.case === "validatorIndex") accounted.add(input.value);
  }
  for (const { validatorIndex } of group.rawSignatures) {
    holds(accounted.has(validatorIndex), "every raw signature is in the proof or left out");
  }
  const children = leftOut.filter(({ input }) => input.case === "childIndex").length;
  holds(outcome.childrenFolded.length + children === group.children.length, "so is every child");
}
