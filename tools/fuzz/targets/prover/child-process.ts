/**
 * The parent's end of a prover process, with the fuzzer in place of the child: each request settles,
 * a garbled message kills the child once, and its end is reported once.
 */
import { ChildProcess } from "node:child_process";
import { PassThrough, Duplex } from "node:stream";
import { ProverChild } from "../../../../server/prover/child-process.js";
import type { ChildQuestion, ChildStart } from "../../../../server/prover/messages.js";
import { parseBoolean, parseProof, parseVerdicts } from "../../../../server/prover/messages.js";
import { ProverError } from "../../../../server/prover/prover.js";
import { mutateBytes } from "../../engine/mutate-bytes.js";
import { mutateValue } from "../../engine/mutate-value.js";
import type { FuzzTarget } from "../../engine/target.js";
import { holds } from "../../engine/target.js";
import { description, framed, fromChild, requests } from "../../prover-values.js";

const ready = framed({ kind: "ready", description, setupMs: 4000, residentBytes: 1e6 });

export const target: FuzzTarget = {
  name: "child-process",
  bytesMax: 16 * 1024,
  msMax: 50,
  msPerKb: 5,
  seeds: () => [
    new Uint8Array(Buffer.concat(fromChild.slice(0, 5).map(framed))),
    new Uint8Array(Buffer.concat(fromChild.map(framed))),
  ],
  mutate: (input, random) => {
    const values = fromChild.map((value) =>
      random.chance(0.3) ? mutateValue(value, random) : value,
    );
    const order = random.chance(0.3) ? values.reverse() : values;
    const bytes = Buffer.concat(order.map((value) => framed(value)));
    return random.chance(0.2) ? mutateBytes(input, random) : new Uint8Array(bytes);
  },
  open: () => ({ run }),
};

class Pipe extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

/** A child process that does not exist. */
class AbsentProcess extends ChildProcess {
  kills = 0;
  readonly pipe = new Pipe();
  override readonly stderr = new PassThrough();
  override readonly stdio: ChildProcess["stdio"] = [null, null, this.stderr, this.pipe, null];
  override kill(): boolean {
    this.kills++;
    return true;
  }

  end(): void {
    this.emit("exit", null, "SIGKILL");
    this.emit("close", null, "SIGKILL");
  }
}

async function run(input: Uint8Array): Promise<void> {
  const process = new AbsentProcess();
  const backend = { library: "x", config: "" };
  const own = { nice: 0, cores: [], threads: 0, fileBytesMax: 0 };
  const start: ChildStart = { kind: "start", backend, ...own };
  const child = new ProverChild(process, start, { nowMs: () => 0, oomKills: () => 0 });
  const readiness = child.ready.then(
    () => "ready",
    (error: unknown) => checked(error),
  );
  // Most faults need a child that is ready.
  const isReadyFirst = input.subarray(0, ready.length).every((byte, at) => byte === ready[at]);
  if (isReadyFirst) process.pipe.push(ready);
  await turn();
  const [signatures, claim, proof] = requests(32, 64) as ChildQuestion[];
  const settled = Promise.allSettled([
    signatures && child.request(signatures, (value) => parseVerdicts(value, 2)),
    claim && child.request(claim, parseBoolean),
    proof && child.request(proof, (value) => parseProof(value, 1000)),
  ]);
  process.pipe.push(isReadyFirst ? input.subarray(ready.length) : input);
  await turn();
  process.pipe.destroy();
  await turn();
  holds(process.kills === 1, "a child without a pipe is killed exactly once");
  process.end();
  const { cause, detail } = await child.exited;
  holds(
    ["died", "killed_for_memory", "start_failed", "refused"].includes(cause) && detail !== "",
    "its end is explained",
  );
  for (const result of await settled) {
    if (result.status === "rejected") checked(result.reason);
  }
  await readiness;
  holds(child.residentBytes >= 0, "memory is a number");
}

function checked(error: unknown): string {
  if (!(error instanceof ProverError)) throw error;
  return error.kind;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
