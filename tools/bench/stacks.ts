/**
 * The two RPC stacks of one served process against each other: the data plane (grpc-js) and the
 * HTTP edge (connect) get the same encoded requests from the same grpc-js client. Their blocks are
 * short and alternate, so that drift of the machine is in both.
 */
import { setTimeout as pause } from "node:timers/promises";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { cpuMsOf } from "../harness/processes.js";
import type { Measurement } from "./measurement.js";
import { whileProving } from "./proof-load.js";
import { table } from "./report.js";
import type { Goal } from "./report.js";
import { Comparison } from "./stack-comparison.js";
import type { Sample, Stack } from "./stack-comparison.js";
import { encodedSubmission, retainResults, SUBMITTER } from "./stack-requests.js";
import type { EncodedSubmission } from "./stack-requests.js";
import { withService } from "./with-service.js";
import type { BenchService } from "./with-service.js";

/** Garbage of one stack is mostly collected within its own block. */
const BLOCK = 25;
/** Percentiles and processor time are compared within a round; the rounds show the noise. */
const ROUNDS = 8;
const READS = 200;
/**
 * `settleMs`: until the server is idle after its answer, so that its threads' time is exact.
 * `warmUp`: calls until the compiler has settled, whose time would otherwise be the calls'.
 */
const SIZES = [
  { name: "20 KB", bytes: 20_000, settleMs: 3, warmUp: 500 },
  { name: "1 MB", bytes: 1_000_000, settleMs: 10, warmUp: 100 },
];
const GOAL_P99_RATIO = 1.25;
const GOAL_CPU = { size: "20 KB", ratio: 1.6 };

type Size = (typeof SIZES)[number];
type State = "idle" | "proving";
type Clients = Readonly<Record<Stack, AggregatorClient>>;

const notes = [
  "ms: from the call to its answer; for the stream, a whole read over its outcomes. cpuMs: mean of",
  "the server's processor time from the call until it is idle again; sessionCpuMs: with the calls",
  "that wait for or cancel the session, on the same stack.",
  `Ratios are edge over data plane. round…: median, q1 and q3 of the ratios of ${ROUNDS} rounds.`,
];

export const stacks: Measurement = {
  name: "stacks",
  seconds: ({ calls }) => 60 + calls * 0.25,
  run: ({ calls }, progress) =>
    withService(async (service) => {
      const { http } = await service.process.listening();
      const clients: Clients = {
        "data plane": new AggregatorClient({ address: service.address }),
        edge: new AggregatorClient({ address: http }),
      };
      const all = [
        ...(await acknowledgements(service, clients, calls, progress)),
        await stream(service, clients),
      ];
      for (const client of Object.values(clients)) client.close();
      return {
        title: "RPC stacks: the HTTP edge against the data plane",
        rows: all.flatMap((comparison) => comparison.rows()),
        goals: all.flatMap(goalsOf),
        notes: [...table(all.map((comparison) => comparison.ratios())), ...notes],
      };
    }),
};

function goalsOf(comparison: Comparison): Goal[] {
  const { what } = comparison;
  if (what.startsWith("stream")) return [];
  const value = comparison.p99Ratio();
  const p99 = { what: `p99, ${what}`, value, atMost: GOAL_P99_RATIO, unit: "" };
  if (!what.includes(GOAL_CPU.size)) return [p99];
  const cpu = { what: `processor time, ${what}`, value: comparison.cpuRatio() };
  return [p99, { ...cpu, atMost: GOAL_CPU.ratio, unit: "" }];
}

async function acknowledgements(
  service: BenchService,
  clients: Clients,
  calls: number,
  progress: (line: string) => void,
): Promise<Comparison[]> {
  const sizes = SIZES.map((size) => ({ size, request: encodedSubmission(size.bytes) }));
  const cells = (["idle", "proving"] as const).flatMap((state) =>
    sizes.map(({ size, request }) => ({
      state,
      size,
      comparison: new Comparison(`submit, ${state}, ${size.name}`),
      sample: (stack: Stack) => submit(service, clients[stack], { size, request, state }),
    })),
  );
  for (const { state, size, sample } of cells) {
    if (state === "idle") await new Comparison("warm-up").addRound(size.warmUp, BLOCK, sample);
  }
  for (let round = 1; round <= ROUNDS; round++) {
    const run = async (state: State) => {
      for (const cell of cells.filter((each) => each.state === state))
        await cell.comparison.addRound(Math.ceil(calls / ROUNDS), BLOCK, cell.sample);
    };
    await run("idle");
    await whileProving(service.address, () => run("proving"));
    progress(`${round} of ${ROUNDS} rounds`);
  }
  return cells.map(({ comparison }) => comparison);
}

/** Resolves once the session is out of the next one's way. */
async function submit(
  { process: { pid } }: BenchService,
  client: AggregatorClient,
  { size, request, state }: { size: Size; request: EncodedSubmission; state: State },
): Promise<Sample> {
  const bytes = request.next();
  const cpuBeforeMs = cpuMsOf(pid);
  const startedMs = performance.now();
  const { result } = await client.submitEncoded(bytes);
  const tookMs = performance.now() - startedMs;
  await pause(size.settleMs);
  const cpuMs = cpuMsOf(pid) - cpuBeforeMs;
  if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
  const session = { node: SUBMITTER, sessionId: result.value.sessionId };
  // Behind the load it would never start, and be in the way of the next.
  if (state === "proving") await client.cancelSession(session);
  await client.getSession({ ...session, waitMs: 60_000 });
  return { tookMs, cpuMs, sessionCpuMs: cpuMsOf(pid) - cpuBeforeMs };
}

/** Reads the retained results of a node from the start, again and again. */
async function stream({ process: { pid }, address }: BenchService, clients: Clients) {
  const { node, outcomes, outcomeBytes } = await retainResults(address);
  const sample = async (stack: Stack): Promise<Sample> => {
    const cpuBeforeMs = cpuMsOf(pid);
    const startedMs = performance.now();
    let told = 0;
    for await (const { event } of clients[stack].streamResults({ node, noFollow: true }))
      if (event.case === "outcome" && event.value.proof.length > 0) told++;
    const tookMs = performance.now() - startedMs;
    if (told !== outcomes) throw new Error(`the stream gave ${told} of ${outcomes} proofs`);
    await pause(SIZES[0]?.settleMs);
    return { tookMs: tookMs / outcomes, cpuMs: (cpuMsOf(pid) - cpuBeforeMs) / outcomes };
  };
  await new Comparison("warm-up").addRound(BLOCK, BLOCK, sample);
  const comparison = new Comparison(`stream, ${Math.round(outcomeBytes / 1000)} KB an outcome`);
  for (let round = 0; round < ROUNDS; round++)
    await comparison.addRound(Math.ceil(READS / ROUNDS), BLOCK, sample);
  return comparison;
}
