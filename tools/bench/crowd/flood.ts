/**
 * One node floods the service, and a quiet one submits a group in each slot. The quiet node waits
 * only for the proof that runs when its snapshot arrives.
 */
import { setTimeout as pause } from "node:timers/promises";
import { StreamNode } from "../../harness/wire/stream-node.js";
import { Flooder } from "./flooder.js";
import type { Ending, Scenario } from "./scenario.js";
import {
  acceptedId,
  endingsRow,
  expectation,
  ledgerExpectation,
  proofCounts,
  ROOMY,
} from "./scenario.js";
import { covers, FULL, range, snapshotOf, votes } from "./votes.js";

/** Number of snapshots that the flooding node submits for each one of the quiet node. */
const TIMES = 100;
/** More than in any group of the flood, so that the quiet group is not first for being short. */
const QUIET_VOTES = 24;
const SLOT_MS = 4000;

export function flood(slots: number): Scenario {
  return {
    name: `a node floods, ${String(TIMES)} snapshots at once in each of ${String(slots)} slots, beside a quiet one`,
    run: async (service, progress) => {
      const [flooder, quiet] = await Promise.all(
        ["flooder", "quiet"].map((id) => StreamNode.open(service.address, id)),
      );
      if (flooder === undefined || quiet === undefined) throw new Error("nobody submits");
      const before = await proofCounts(service);
      const floods = new Flooder(flooder);
      const served: Served[] = [];
      for (let slot = 0; slot < slots; slot++) {
        const startMs = performance.now();
        floods.burst(TIMES);
        // When one proof of the flood has ended, the next runs, and the quiet node meets that one.
        await floods.nextProof();
        served.push(await serve(quiet, slot, floods));
        progress(`slot ${String(slot + 1)} of ${String(slots)}: the quiet node has its proof`);
        if (slot + 1 < slots) await pause(startMs + SLOT_MS - performance.now());
      }
      const flooded = await floods.end();
      const after = await proofCounts(service);
      const good = served.filter(({ isCovered }) => isCovered).length;
      const ahead = served.map(({ proofsAhead }) => proofsAhead);
      for (const node of [flooder, quiet]) node.close();
      return {
        rows: [endingsRow("flooder", flooded), endingsRow("quiet", served)],
        notes: [`proofs made: ${String(after.proofs - before.proofs)}; ${floods.answers()}`],
        expectations: [
          {
            what: "proofs that the quiet node waited for in each slot, at most 1",
            found: ahead.join(", "),
            holds: ahead.every((proofs) => proofs <= 1),
          },
          expectation("slots in which it has its proof, of exactly its votes", good, slots),
          ledgerExpectation([flooder, quiet]),
        ],
      };
    },
  };
}

interface Served extends Ending {
  isCovered: boolean;
  /** Number of the flood's proofs that ended between the quiet node's call and its result. */
  proofsAhead: number;
}

/** Submits one group of the quiet node, waits for its outcome, and verifies the proof. */
async function serve(node: StreamNode, slot: number, floods: Flooder): Promise<Served> {
  const vector = FULL[slot % FULL.length] ?? FULL[0];
  const startedMs = performance.now();
  const before = floods.proofs;
  const group = votes(vector, 0, QUIET_VOTES);
  const answer = await node.submit({ snapshot: snapshotOf([group]), ...ROOMY });
  const requestId = acceptedId(answer, "the quiet node");
  const [ended] = await node.outcomesOf(requestId);
  const proofsAhead = floods.proofs - before;
  if (ended === undefined) throw new Error("the quiet node got no result");
  await node.settle(requestId);
  const isCovered = await covers(node, ended.outcome, range(0, QUIET_VOTES));
  return { outcome: ended.outcome, resultMs: ended.atMs - startedMs, isCovered, proofsAhead };
}
