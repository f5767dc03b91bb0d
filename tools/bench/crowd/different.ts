/** Nodes submit different votes at once: each gets a proof of its own, one after the other. */
import { StreamNode } from "../../harness/wire/stream-node.js";
import type { Scenario } from "./scenario.js";
import {
  acceptedId,
  endingsRow,
  expectation,
  ledgerExpectation,
  proofCounts,
  ROOMY,
} from "./scenario.js";
import { covers, FULL, range, snapshotOf, votes } from "./votes.js";

const VOTES = 8;

export function different(count: number): Scenario {
  return {
    name: `${String(count)} nodes submit different snapshots of ${String(VOTES)} votes at once`,
    async run(service, progress) {
      const ids = range(0, count).map((at) => `node-${String(at)}`);
      const nodes = await Promise.all(ids.map((id) => StreamNode.open(service.address, id)));
      const before = await proofCounts(service);
      let done = 0;
      const endings = await Promise.all(
        nodes.map(async (node, at) => {
          const from = at * VOTES;
          const group = votes(FULL[0], from, from + VOTES);
          const startedMs = performance.now();
          const answer = await node.submit({ snapshot: snapshotOf([group]), ...ROOMY });
          const requestId = acceptedId(answer, node.node.nodeId);
          const [ended] = await node.outcomesOf(requestId);
          if (ended === undefined) throw new Error(`${node.node.nodeId} got no result`);
          progress(`${String(++done)} of ${String(count)} nodes have their proof`);
          await node.settle(requestId);
          const isCovered = await covers(node, ended.outcome, range(from, from + VOTES));
          return { outcome: ended.outcome, resultMs: ended.atMs - startedMs, isCovered };
        }),
      );
      const after = await proofCounts(service);
      const good = endings.filter(({ isCovered }) => isCovered).length;
      for (const node of nodes) node.close();
      return {
        rows: [endingsRow("each", endings)],
        expectations: [
          expectation("proofs made", after.proofs - before.proofs, count),
          expectation("groups that shared one", after.shared - before.shared, 0),
          expectation("nodes whose proof verifies for exactly their votes", good, count),
          ledgerExpectation(nodes),
        ],
      };
    },
  };
}
