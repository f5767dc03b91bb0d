/** What to do on each code and reason, in the words of docs/reference/errors.md. */
import type { AdapterSkipReason } from "../../client/machine/events.js";
import type { RefusalKind } from "../../server/errors.js";
import type {
  LeftOutReason,
  OutcomeStatusName,
  SkipReason,
  GroupReason,
} from "../../server/reasons.js";

type MeaningAndTodo = readonly [meaning: string, todo: string];
/** What an adapter adds to the reasons of the service. */
type OwnAdapterReason = Exclude<AdapterSkipReason, SkipReason>;
/** Reasons of a group on the wire: too few inputs are a status there. */
type WireReason = Exclude<GroupReason, "min_inputs">;

const kinds: Readonly<Record<RefusalKind, MeaningAndTodo>> = {
  invalid_argument: [
    "A field is missing, malformed or out of range",
    "Fix the client: the same request gets the same answer",
  ],
  deadline_exceeded: [
    "The request did not arrive whole, or was not handled, before the call's deadline",
    "Look at the network and at the size of the request; retry while the slot has time",
  ],
  not_found: [
    "No such request, session or device",
    "Check the id. A request is forgotten a minute after its fence, and with the service's run",
  ],
  permission_denied: [
    "The policy does not allow this caller the call, the node or the priority; or the host's name is not allowed",
    "`lean-aggregator policy check` says why; a page or proxy needs its name in `--allowed-hosts`",
  ],
  resource_exhausted: [
    "A quota or a limit is used up, no memory is free, or the request is too large",
    "Wait, then retry; if it lasts, raise the quota in the policy, or send less. For `node.node_epoch`, the node starts too often",
  ],
  failed_precondition: [
    "`node_id_in_use`: a later run of this node has called",
    "Two processes have one node id: give each its own",
  ],
  aborted: [
    "`behind`: the reader of a stream was too slow",
    "Open a new stream that names what it awaits; adapters do it by themselves",
  ],
  unimplemented: [
    "The request asks for what this service does not offer, or calls a method that it does not have",
    "Compare with the offers of `lean-aggregator info`",
  ],
  unavailable: [
    "No prover can verify now, a device has gone, or the service cannot be reached",
    "Retry; `lean-aggregator admin provers` says what the devices do",
  ],
  unauthenticated: [
    "The caller has no valid certificate or token",
    "Give the certificate or token that the policy names",
  ],
};

const skips: Readonly<Record<Uppercase<SkipReason>, string>> = {
  IN_FLIGHT: "Nothing: submit in the next slot, or ask to replace what waits (`busy_policy`)",
  PREDICTED_MISS:
    "Submit earlier, with fewer groups, or a later deadline. If it lasts, the network needs [more lanes](../operate/lanes.md)",
  DRAINING: "Name a second service to the node: adapters go on to it",
  OVERLOADED: "See which quota or limit `detail` names",
  NO_PROVER: "`lean-aggregator admin provers` says why each device cannot prove",
};

const statuses: Readonly<Record<Uppercase<OutcomeStatusName>, string>> = {
  PROVED: "Verify, apply and publish it",
  PROVED_LATE: "The same: it is as valid, only later",
  NOTHING_TO_PROVE:
    "Nothing: the votes are in a child already, or are too few by the node's own wish",
  REJECTED: "Look at `left_out`: it names each bad input",
  NOT_STARTED: "See the reason; the votes go into the next snapshot",
  STOPPED: "See the reason; the votes go into the next snapshot",
  FAILED: "See the reason; the votes go into the next snapshot",
};

const reasons: Readonly<Record<Uppercase<WireReason>, string>> = {
  DEADLINE: "Put the most wanted groups first; give a later deadline where the slot has time",
  PREDICTED_MISS: "A later fence, fewer inputs, or [faster or more lanes](../operate/lanes.md)",
  SUPERSEDED: "Nothing: the newer session has the votes",
  CANCELLED: "Nothing: somebody asked for it",
  DRAINING: "Adapters submit it to the next service",
  LIMIT: "Send at most `groups_max` groups; `lean-aggregator info` shows it",
  FENCE: "As for PREDICTED_MISS, if it happens often",
  PREEMPTED: "Nothing: it was backlog, and goes into the next snapshot",
  PROVER_DIED:
    "The log has the prover's last words; [`--keep-fatal`](../adopt/own-prover.md#when-it-dies-in-a-call) keeps the call",
  PROVER_ERROR: "`detail` and the log have the prover's error",
  SET_ASIDE: "Keep the inputs for the prover's builders: two provers died of them",
  MEMORY: "Raise `--prover-memory-mb`, or send fewer children",
};

const leftOut: Readonly<Record<Uppercase<LeftOutReason>, string>> = {
  BAD_SIGNATURE: "Do not send it again; look at the gossip that it came from",
  WRONG_LEAF: "Do not send it again: it is signed for another slot",
  UNKNOWN_KEY: "Add the keys of all signers, and of all participants of children, to the key table",
  BAD_CHILD: "Do not send it again",
  OTHER_SYSTEM: "Do not send it again; or submit it to the proof system that made it",
  COVERED: "Nothing: the vote is in the proof, or in a child",
  SHED: "Send it in the next snapshot",
};

const adapter: Readonly<Record<OwnAdapterReason, MeaningAndTodo>> = {
  not_aggregator: ["The node is no aggregator in this slot", "Nothing"],
  not_synced: ["The node says that it is not synced", "Nothing: it ends with the sync"],
  missing_state: ["The node has no state for the slot's votes", "Nothing, unless it lasts"],
  paused: ["The node wants no aggregation now, as before its own proposal", "Nothing"],
  unreachable: [
    "No endpoint can take the snapshot in time",
    "Look at the service and the network; `onUnreachable` lets the node prove by itself",
  ],
  nothing_to_submit: ["The node has no votes that are worth a proof", "Nothing"],
  snapshot_threw: [
    "The node's own function for the snapshot failed",
    "Fix the node; its log has the error",
  ],
  invalid: [
    "The snapshot cannot be encoded, or the service refuses it each time",
    "Read the logged message at once: every snapshot will get it again",
  ],
};

export const advice = {
  kinds,
  skips,
  statuses,
  reasons,
  leftOut,
  adapter,
  /** INTERNAL, which no refusal has. */
  internal: [
    "A fault of the service; its log has the error",
    "Report it with the log's lines",
  ] satisfies MeaningAndTodo,
};
