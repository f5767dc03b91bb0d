/**
 * What the service can do now, and the largest requests that it takes, as messages: for
 * `GetServerInfo` and for the events of a stream.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  LimitsSchema,
  OfferSchema,
  StatusSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ServiceState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Admission } from "../admission/admission.js";
import { offeredKinds } from "../admission/offered.js";
import { proofSystemOf } from "../lane/proof-system.js";
import { limits } from "../limits.js";
import type { Dispatcher } from "../schedule/dispatcher.js";
import { offeredRates } from "../work/prover-description.js";
import { snapshotLimits } from "./request-limits.js";

export interface StatusModules {
  admission: Pick<Admission, "draining">;
  dispatcher: Pick<Dispatcher, "describe" | "devices" | "isUp" | "whyDown">;
}

/** The state of the service, why it accepts no snapshot (else empty), and its offers. */
export function statusView({
  admission,
  dispatcher,
}: StatusModules): MessageInitShape<typeof StatusSchema> {
  const offers = offersView(dispatcher);
  if (admission.draining) {
    return { state: ServiceState.DRAINING, detail: "the service is shutting down", offers };
  }
  if (dispatcher.isUp) return { state: ServiceState.READY, offers };
  const devices = dispatcher.devices();
  const areDrained = devices.length > 0 && devices.every(({ report }) => report.isDrained);
  const state = areDrained ? ServiceState.DRAINING : ServiceState.NO_PROVER;
  return { state, detail: dispatcher.whyDown(), offers };
}

/**
 * The proof systems that the service proves with, the default first: one, since all devices have
 * the same; none until a prover has been ready.
 */
function offersView(
  dispatcher: StatusModules["dispatcher"],
): MessageInitShape<typeof OfferSchema>[] {
  const has = dispatcher.describe();
  if (has === undefined) return [];
  const { scheme, revision, fake } = has;
  const sizes = has.anySize === true ? { publicKeyBytes: 0, signatureBytes: 0 } : has;
  const { publicKeyBytes, signatureBytes } = sizes;
  const { childrenMax, proofBytesMax } = snapshotLimits(has);
  const deviceIds = dispatcher.devices().flatMap(({ deviceId, report: { description } }) => {
    const isSame = description !== null && proofSystemOf(description) === proofSystemOf(has);
    return isSame ? [deviceId] : [];
  });
  return [
    {
      proofSystem: { scheme, revision },
      publicKeyBytes,
      signatureBytes,
      kinds: offeredKinds(has),
      logInvRates: offeredRates(has),
      childrenMax,
      proofBytesMax,
      messagesMax: has.messagesMax,
      deviceIds,
      fake,
    },
  ];
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
