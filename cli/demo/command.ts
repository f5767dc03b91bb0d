/** `lean-aggregator demo`: real votes become verified proofs beside a tick loop. */
import { createHash } from "node:crypto";
import { availableParallelism, loadavg } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { Option } from "commander";
import { bitsToIndices } from "../../proto/bitlist.js";
import type { Outcome, Votes } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { votesIn, votesProved } from "../../proto/votes.js";
import { readBackendFile } from "../../server/prover/device/backend-file.js";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import { proverEnvironment, startForkedProver } from "../../server/prover/forked-prover.js";
import type { Prover } from "../../server/prover/prover.js";
import { foldedProof } from "../../server/prover/prover.js";
import { openVotes, VOTES_FOLDER } from "../example/votes.js";
import type { CommandModules, Terminal } from "../io/command.js";
import { addCommand, CommandError, ending, exitCodes } from "../io/command.js";
import { isProved } from "../io/outcome-line.js";
import { packageRoot } from "../io/package-root.js";
import { isBackendSetUp, setUpBackend } from "../setup.js";
import { AGGREGATION_INTERVAL, runNode } from "./node.js";
import type { Pace } from "./pace.js";
import { paceOf } from "./pace.js";
import type { DemoService } from "./served.js";
import { startDemoService } from "./served.js";

const help = `
Starts the service in a process of its own, plays a node's ticks in real slot time on
real votes, and verifies every proof in another process: a minute on 2 idle cores. Where
proofs take longer, as beside other programs, its slots are longer. It shows
a bad signature, late proofs, a group that never started, a skip, and a child proof
folded with votes. Installs the shipped prover first where it is missing, as
'lean-aggregator setup' does.

With --keep the service goes on afterwards, at the addresses that 'serve' has by
default, and the command says how to submit to it and how to stop it. Where
LEAN_AGGREGATOR_PROBES is off, probes are at a free port: the demo reads them.

Examples:
  lean-aggregator demo
  lean-aggregator demo --keep
  lean-aggregator demo --prover fake   # nothing to install; it only waits, and
                                       # takes no child

Exit codes:
  0  every proof is verified, and there is one
  1  a proof is not valid, none was made, the service cannot prove, or Ctrl-C,
     SIGTERM or SIGHUP ended the demo, and its service with it
  2  a flag is wrong
`;

const FREE_PROBES = ["--probes", "127.0.0.1:0"];
const FREE_PORTS = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", ...FREE_PROBES];
const FAKE = ["--prover", "fake", "--fake-accepts", "any"];
const START_TIMEOUT_MS = 120_000;
const INFO_TIMEOUT_MS = 30_000;

type ProverName = "lean-pq" | "fake";

interface DemoOptions {
  /** Leave the service running. */
  keep?: boolean;
  /** Default: lean-pq. */
  prover?: ProverName;
}

export function addDemoCommand(program: Command, modules: CommandModules): void {
  addCommand(program, "demo", { summary: "see votes become verified proofs on this machine", help })
    .option("--keep", "leave the service running afterwards")
    .addOption(
      new Option("--prover <name>", "the shipped prover, or one that only waits")
        .choices(["lean-pq", "fake"])
        .default("lean-pq"),
    )
    .action(ending(modules, (options: DemoOptions) => demoCommand(options, modules)));
}

async function demoCommand(
  { keep = false, prover = "lean-pq" }: DemoOptions,
  { env, terminal, interrupted }: CommandModules,
): Promise<number> {
  const say = (line = "") => terminal.out(`${line}\n`);
  if (prover === "lean-pq" && !isBackendSetUp()) {
    const code = await setUpBackend(env);
    if (code !== exitCodes.ok) return code;
  }
  introduce(say);
  // Each of them would end this process alone: the service has a process group of its own.
  const signal = interrupted(["SIGINT", "SIGTERM", "SIGHUP"]);
  const keptPlace = env["LEAN_AGGREGATOR_PROBES"] === "off" ? FREE_PROBES : [];
  const flags = [...(keep ? keptPlace : FREE_PORTS), ...(prover === "fake" ? FAKE : [])];
  const service = await orInterrupted(startDemoService(flags, signal), signal);
  try {
    const votes = openVotes(`${packageRoot}${VOTES_FOLDER}`);
    const pace = await learnedPace(service.nodes);
    sayPace(pace, say);
    const run = await orInterrupted(runNode(service.nodes, { votes, pace, say, signal }), signal);
    const code = keep ? 0 : await service.stop();
    if (!keep) say(`\nservice ended with code ${code}`);
    summarise(run, say);
    const proved = run.outcomes.filter(isProved);
    // The proofs of a fake prover that accepts any key name the hash of each.
    const keyOf = (index: number) =>
      prover === "fake" ? sha256(votes.publicKey(index)) : votes.publicKey(index);
    say("verifying every proof in another prover process ...");
    const good = await orInterrupted(
      verifyAll(proved, keyOf, { start: () => startVerifier(prover, env), signal }),
      signal,
    );
    say(`verified ${good} of ${proved.length} proofs`);
    if (proved.length === 0) say(`no proof was made: the table says why; ${machineLoad()}`);
    if (keep) sayHowToGoOn(service, terminal);
    const isGood = good === proved.length && good > 0 && code === 0;
    return isGood ? exitCodes.ok : exitCodes.error;
  } catch (error) {
    await service.stop();
    throw error;
  }
}

/** What the promise gives; where a signal ended it, an error that says so. */
async function orInterrupted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await promise;
  } catch (cause) {
    if (!signal.aborted) throw cause;
    throw new CommandError("interrupted", "the service has been stopped", { cause });
  }
}

function introduce(say: (line: string) => void): void {
  say("A lean consensus node's votes become proofs, beside its ticks instead of inside them.");
  say("The service runs in its own process; this process is the node.");
  say("\nsetting the prover up, and timing a first proof (4 to 13 s on idle cores) ...");
}

/** The pace for what the service's devices have learned at their start. */
async function learnedPace(server: string): Promise<Pace> {
  const client = new AggregatorClient({ address: server });
  try {
    const { devices } = await client.getServerInfo({}, { timeoutMs: INFO_TIMEOUT_MS });
    return paceOf(devices);
  } finally {
    client.close();
  }
}

function sayPace({ slotMs, intervalMs, factor, slowMs = 0 }: Pace, say: (line: string) => void) {
  const slots = `slots of ${slotMs / 1000} s, a tick every ${intervalMs} ms`;
  say(`${slots}, votes handed over in interval ${AGGREGATION_INTERVAL}.`);
  if (factor === 1) return;
  const seconds = Math.round(slowMs / 1000);
  say(
    `Slots are longer than a network's 4 s: here 32 votes may take ${seconds} s; ${machineLoad()}`,
  );
}

/** What keeps the cores busy beside the demo, as a sentence. */
function machineLoad(): string {
  const [load = 0] = loadavg();
  return `${load.toFixed(1)} processes want to run, on ${availableParallelism()} cores`;
}

function summarise(
  { outcomes, tickMs }: { outcomes: Outcome[]; tickMs: number[] },
  say: (line: string) => void,
): void {
  const sorted = [...tickMs].sort((x, y) => x - y);
  const median = (sorted[sorted.length >> 1] ?? 0).toFixed(2);
  const longest = (sorted.at(-1) ?? 0).toFixed(1);
  const proveMs = outcomes.filter(isProved).reduce((sum, outcome) => sum + outcome.proveMs, 0);
  const besides = `proving took ${(proveMs / 1000).toFixed(1)} s beside them`;
  say(`${tickMs.length} ticks: median ${median} ms, longest ${longest} ms; ${besides}`);
  const votes = outcomes.flatMap((outcome) => outcome.votes ?? []);
  const total = (count: (of: Votes) => number) => votes.reduce((sum, of) => sum + count(of), 0);
  say(`${total(votesProved)} of ${total(votesIn)} votes are in a proof`);
}

function startVerifier(name: ProverName, env: CommandModules["env"]): Prover | Promise<Prover> {
  if (name === "fake")
    return startFakeProver({
      accepts: "any",
      proveMs: () => 0,
      sleep: (ms) => delay(ms, undefined),
    });
  return startForkedProver({
    deviceId: "verifier",
    childPath: fileURLToPath(new URL("../../server/prover/child-main.js", import.meta.url)),
    backend: readBackendFile(packageRoot),
    nice: 0,
    cores: [],
    env: proverEnvironment(env, {}),
    startTimeoutMs: START_TIMEOUT_MS,
  });
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

/**
 * How many of the proofs are valid, by a prover process of our own and the participants' keys.
 * Rejects when `signal` aborts.
 */
async function verifyAll(
  outcomes: readonly Outcome[],
  keyOf: (validator: number) => Uint8Array,
  { start, signal }: { start: () => Prover | Promise<Prover>; signal: AbortSignal },
): Promise<number> {
  const prover = await start();
  let good = 0;
  try {
    for (const { message, slot, data, participants, proof } of outcomes) {
      signal.throwIfAborted();
      const keys = bitsToIndices(participants).map(keyOf);
      const claim = { proof, keys: new Uint8Array(Buffer.concat(keys)) };
      const signed = { root: message, slot: Number(data?.slot ?? slot) };
      if (await prover.verify(foldedProof(signed, claim))) good++;
    }
    return good;
  } finally {
    prover.kill();
    await prover.exited;
  }
}

function sayHowToGoOn({ pid, nodes, probes, operator, folder }: DemoService, terminal: Terminal) {
  const server = nodes === "127.0.0.1:9190" ? "" : ` --server ${nodes}`;
  terminal.out(`
The service goes on: nodes at ${nodes}, probes and metrics at ${urlOf(probes)},
operator at ${urlOf(operator)}. Its log is ${folder}/service.log.

  lean-aggregator example > snapshot.json && lean-aggregator submit snapshot.json${server}
  lean-aggregator info${server}
  kill ${pid}   # stops it
`);
}

/** An address as a browser takes it; a Unix socket, or "off", as it is. */
const urlOf = (address: string) => (/^(off$|unix:)/.test(address) ? address : `http://${address}`);
