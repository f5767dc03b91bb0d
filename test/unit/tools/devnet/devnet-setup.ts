/** A node for tests: time, gossip, keys, the aggregator and the merger are the test's. */
import type { MessageClaim } from "../../../../tools/devnet/crypto/crypto-client.js";
import type {
  Aggregator,
  ProvedGroup,
  Submission,
} from "../../../../tools/devnet/node/aggregators/aggregator.js";
import type { BodyMerger } from "../../../../tools/devnet/node/aggregators/body-merger.js";
import type { FrameKind } from "../../../../tools/devnet/node/gossip.js";
import type { NodeSettings } from "../../../../tools/devnet/node/messages.js";
import { DevnetNode, type NodeModules } from "../../../../tools/devnet/node/node.js";
import type { NodeRecord } from "../../../../tools/devnet/node/records.js";
import type { Intervals } from "../../../../tools/devnet/node/slot-time.js";
import { VALIDATORS } from "./devnet-chain.js";

export const [PROPOSE, VOTE, ACCEPT] = [0, 1, 4];
export const tick = (slot: number, interval: number) => slot * 5 + interval;
export const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Settings of one node in `sidecar` that nothing has been started for. */
export const nodeSettings: NodeSettings = {
  ...{ node: 0, ports: [1], keys: [], proposalKeys: [], ownValidators: [0] },
  ...{ sockets: { signer: "", verifier: "" }, mode: "sidecar", isAggregator: true },
  ...{ endpoint: "unix:/none", backend: { library: "", config: "" }, slotMs: 4000, intervals: 5 },
  ...{ foldsChildren: false, hasTwoViews: false, componentsMax: 0, blockProofEvery: 0 },
  ...{ lookaheadSlots: 0, earlyWaitMs: 1, lastSlot: 1 },
};

/** A node with everything around it played by the test; an invalid signature or proof is `[0]`. */
export function setUp({
  isAggregator = true,
  lookaheadSlots = 0,
  intervals = 5,
  merger = null,
  ...rest
}: {
  isAggregator?: boolean;
  lookaheadSlots?: number;
  intervals?: Intervals;
  /** Given: a block has one proof of its body, of two messages at most. */
  merger?: BodyMerger | null;
  hasTwoViews?: boolean;
  blockProofEvery?: number;
  /** What the proposer's key answers with. Default: `[100 + validator]`, at once. */
  signBlock?: (validator: number) => Promise<Uint8Array>;
} = {}) {
  const { hasTwoViews = false, blockProofEvery = 0 } = rest;
  const { signBlock = (validator) => Promise.resolve(new Uint8Array([100 + validator])) } = rest;
  const state: AggregatorState = { slot: 1, proved: [], submitted: [], answers: [TAKEN] };
  const sent: [FrameKind, Uint8Array][] = [];
  const records: NodeRecord[] = [];
  const verified: (readonly MessageClaim[])[] = [];
  const node = new DevnetNode(
    {
      keys: Array.from({ length: VALIDATORS }, (_, at) => new Uint8Array([at])),
      proposalKeys: Array.from({ length: VALIDATORS }, (_, at) => new Uint8Array([100 + at])),
      componentsMax: merger === null ? 0 : 2,
      hasTwoViews,
      blockProofEvery,
      ownValidators: [1],
      lookaheadSlots,
      intervals,
      foldsChildren: false,
      earlyWaitMs: 80,
      lastSlot: 100,
    },
    {
      gossip: {
        broadcast: (kind, bytes) => sent.push([kind, bytes]),
        send: (_, kind, bytes) => sent.push([kind, bytes]),
      },
      crypto: testCrypto(signBlock, (claims) => verified.push(claims)),
      aggregator: isAggregator ? testAggregator(state) : null,
      merger,
      currentSlot: () => state.slot,
      sinceGenesisMs: () => 4000 * state.slot + 0.4,
      record: (record) => records.push(record),
      timedAsAggregation: (run) => run(),
    },
  );
  const kinds = () => sent.map(([kind]) => kind);
  const news = () => records.flatMap((entry) => (entry.kind === "news" ? [entry.text] : []));
  return { node, state, sent, kinds, records, news, verified };
}

function testCrypto(
  signBlock: (validator: number) => Promise<Uint8Array>,
  onProof: (claims: readonly MessageClaim[]) => void,
): NodeModules["crypto"] {
  const isGood = (bytes: Uint8Array) => Promise.resolve(bytes[0] !== 0);
  return {
    sign: (validator, _, role) =>
      role === "proposal" ? signBlock(validator) : Promise.resolve(new Uint8Array([validator + 1])),
    verifySignature: (_, __, signature) => isGood(signature),
    verifyProof: (claims, proof) => {
      onProof(claims);
      return isGood(proof);
    },
  };
}

interface AggregatorState {
  slot: number;
  proved: ProvedGroup[];
  submitted: number[];
  /** To each submission. */
  answers: Submission[];
}
const TAKEN = { priority: "aggregation" as const, skipped: null };

function testAggregator(state: AggregatorState): Aggregator {
  return {
    submit: (slot, snapshot) => {
      state.submitted.push(slot);
      snapshot();
      return state.answers;
    },
    take: () => state.proved.splice(0),
    close: () => Promise.resolve(),
  };
}
