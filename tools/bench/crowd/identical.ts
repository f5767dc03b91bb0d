/**
 * Nodes submit the same votes at once. The service makes one proof for all, and each node gets an
 * outcome by its own validator numbers, deadline and fence, or by its cancelling. Parts are
 * forbidden, so that the short fence of the first node does not decide how much is proved.
 */
import { createHash } from "node:crypto";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { PartialPolicy, Priority } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { StreamNode } from "../../harness/wire/stream-node.js";
import type { Ending, Scenario } from "./scenario.js";
import {
  acceptedId,
  endingName,
  endingsRow,
  expectation,
  ledgerExpectation,
  proofCounts,
  ROOMY,
} from "./scenario.js";
import type { Numbering } from "./votes.js";
import { covers, FULL, plain, range, snapshotOf, votes } from "./votes.js";

const VOTES = 64;
/** A budget in milliseconds that is too short to prove 64 votes on any machine. */
const SHORT_MS = 250;

interface Member {
  name: string;
  /** The node's own validator numbers. Default: those of the vectors. */
  number?: Numbering;
  deadlineMs?: number;
  fenceMs?: number;
  priority?: Priority;
  /** Adds an invalid vote. Only this node's outcome may name it. */
  hasStray?: boolean;
  /** Cancels its session once it is accepted. */
  cancels?: boolean;
  /** How its group must end: `endingName` of its outcome. */
  ends: string;
}

const STRAY = { validatorIndex: 4000, signature: new Uint8Array(3) };

/** Submits before the others: an idle device starts its group even with budgets this short. */
const fenced = { name: "fenced", deadlineMs: SHORT_MS, fenceMs: SHORT_MS, ends: "stopped/fence" };
const same = { name: "same", ends: "proved" };
const shifted = { name: "shifted", number: (v: number) => v + 1000, ends: "proved" };
const reversed = { name: "reversed", number: (v: number) => VOTES - 1 - v, ends: "proved" };
const late = { name: "late", deadlineMs: SHORT_MS, ends: "proved_late" };
const cancelling = { name: "cancelling", cancels: true, ends: "stopped/cancelled" };
const backlog = { name: "backlog", priority: Priority.BACKLOG, ends: "proved" };
const stray = { name: "stray", hasStray: true, ends: "proved" };

export const eightMembers: readonly [Member, ...Member[]] = [
  ...([fenced, same, shifted, reversed, late, cancelling, backlog, stray] as const),
];
export const threeMembers: readonly [Member, ...Member[]] = [fenced, reversed, late];

interface Answer extends Ending {
  member: Member;
  node: StreamNode;
  requestId: string;
}

export function identical([first, ...others]: readonly [Member, ...Member[]]): Scenario {
  const count = 1 + others.length;
  return {
    name: `${String(count)} nodes submit the same ${String(VOTES)} votes at once`,
    async run(service, progress) {
      const nodes = new Map<Member, StreamNode>();
      for (const member of [first, ...others])
        nodes.set(member, await StreamNode.open(service.address, member.name));
      const before = await proofCounts(service);
      const endOf = async (member: Member, node: StreamNode, accepted = () => {}) => {
        const answer = await take(member, node, accepted);
        progress(`${member.name}: ${endingName(answer.outcome)}`);
        return answer;
      };
      const answers = await new Promise<Answer[]>((resolve, reject) => {
        const all: Promise<Answer>[] = [];
        const [leader, ...rest] = [...nodes];
        if (leader === undefined) throw new Error("nobody submits");
        const join = () => {
          all.push(...rest.map(([member, node]) => endOf(member, node)));
          Promise.all(all).then(resolve, reject);
        };
        all.push(endOf(...leader, join));
        all[0]?.catch(reject);
      });
      const after = await proofCounts(service);
      for (const { node, requestId } of answers) await node.settle(requestId);

      const delivered = answers.filter(({ outcome }) => outcome.proof.length > 0);
      const proofs = new Set(delivered.map(({ outcome }) => digestOf(outcome)));
      let good = 0;
      for (const { node, outcome, member } of delivered)
        if (await covers(node, outcome, range(0, VOTES), member.number)) good++;
      const ends = answers.map(({ member, outcome }) => [member.name, endingName(outcome)]);
      const expected = answers.map(({ member }) => [member.name, member.ends]);
      const strays = answers.map(({ outcome }) => outcome.leftOut.length);
      for (const { node } of answers) node.close();
      return {
        rows: [endingsRow("all", answers)],
        expectations: [
          expectation("proofs made", after.proofs - before.proofs, 1),
          expectation("groups that shared it", after.shared - before.shared, count - 1),
          expectation("each ends by its own budgets", ends, expected),
          expectation("different proofs delivered", proofs.size, 1),
          expectation("nodes whose proof verifies for their numbering", good, delivered.length),
          expectation(
            "inputs left out, of the one who sent a stray only",
            strays,
            answers.map(({ member }) => (member.hasStray === true ? 1 : 0)),
          ),
          ledgerExpectation(answers.map(({ node }) => node)),
        ],
      };
    },
  };
}

async function take(member: Member, node: StreamNode, accepted: () => void): Promise<Answer> {
  const { number = plain, deadlineMs, fenceMs, priority, hasStray, cancels } = member;
  const group = votes(FULL[1], 0, VOTES, number);
  if (hasStray === true) group.rawSignatures?.push(STRAY);
  const startedMs = performance.now();
  const answer = await node.submit({
    snapshot: snapshotOf([group], number),
    deadlineMs: deadlineMs ?? ROOMY.deadlineMs,
    fenceMs: fenceMs ?? ROOMY.fenceMs,
    priority: priority ?? Priority.AGGREGATION,
    partialPolicy: PartialPolicy.FORBID,
  });
  const requestId = acceptedId(answer, member.name);
  accepted();
  if (cancels === true) await node.client.cancelSession({ node: node.node, requestId });
  const [ended] = await node.outcomesOf(requestId);
  if (ended === undefined) throw new Error(`${member.name} got no result`);
  return {
    member,
    node,
    requestId,
    outcome: ended.outcome,
    resultMs: ended.atMs - startedMs,
  };
}

const digestOf = ({ proof }: Outcome) => createHash("sha256").update(proof).digest("hex");
