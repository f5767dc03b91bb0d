/**
 * What the service can do now, and the largest requests that it takes, as messages: for
 * `GetServerInfo` and for the events of a stream.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  LimitsSchema,
  OfferSchema,
  StatusSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ServiceState } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Admission } from "../../admission/admission.js";
import { offeredKinds } from "../../admission/offered.js";
import { limits } from "../../limits.js";
import type { Schedule } from "../../schedule/schedule.js";
import type { Schedules } from "../../schedule/schedules.js";
import { offeredRates } from "../../work/prover-description.js";
import { snapshotLimits } from "../call/request-limits.js";

export interface StatusModules {
  admission: Pick<Admission, "draining">;
  schedules: Pick<Schedules, "default" | "all" | "devicesOf" | "devices" | "isUp" | "whyDown">;
}

/**
 * The state of the service, and its offers; why it accepts no snapshot that names no proof system, and
 * which other proof systems take no work, as text that is else empty.
 */
export function statusView({
  admission,
  schedules,
}: StatusModules): MessageInitShape<typeof StatusSchema> {
  const offers = schedules.all().map((each) => offerView(each, schedules.devicesOf(each.name)));
  if (admission.draining) {
    return { state: ServiceState.DRAINING, detail: "the service is shutting down", offers };
  }
  const detail = schedules.whyDown();
  if (schedules.isUp) return { state: ServiceState.READY, detail, offers };
  const devices = schedules.default?.dispatcher.devices() ?? schedules.devices();
  const areDrained = devices.length > 0 && devices.every(({ report }) => report.isDrained);
  const state = areDrained ? ServiceState.DRAINING : ServiceState.NO_PROVER;
  return { state, detail, offers };
}

/** One proof system that the service proves with, on these devices. */
function offerView(
  { prover }: Schedule,
  deviceIds: readonly string[],
): MessageInitShape<typeof OfferSchema> {
  const { scheme, revision, fake, messagesMax } = prover;
  const sizes = prover.anySize === true ? { publicKeyBytes: 0, signatureBytes: 0 } : prover;
  const { publicKeyBytes, signatureBytes } = sizes;
  const { childrenMax, proofBytesMax } = snapshotLimits(prover);
  return {
    proofSystem: { scheme, revision },
    publicKeyBytes,
    signatureBytes,
    kinds: offeredKinds(prover),
    logInvRates: offeredRates(prover),
    childrenMax,
    proofBytesMax,
    messagesMax,
    deviceIds: [...deviceIds],
    fake,
  };
}

/** The limits that do not depend on a proof system. */
export function limitsView(): MessageInitShape<typeof LimitsSchema> {
  return {
    snapshotBytesMax: limits.snapshotBytesMax,
    groupsMax: limits.groupsMax,
    rawSignaturesMax: limits.validatorsMax,
    validatorsMax: limits.validatorsMax,
    deadlineMsMax: limits.deadlineMsMax,
    fenceMsMax: limits.fenceMsMax,
    jsonBytesMax: limits.jsonBytesMax,
    callsPerConnectionMax: limits.callsPerConnectionMax,
    connectionAgeMs: limits.connectionAgeMs,
    connectionIdleMs: limits.connectionIdleMs,
    connectionGraceMs: limits.connectionGraceMs,
    headerBytesMax: limits.headerBytesMax,
    awaitedMax: limits.awaitedMax,
    heartbeatMs: limits.heartbeatMs,
    retentionMs: limits.retentionMs,
    stepsMax: limits.stepsMax,
  };
}
