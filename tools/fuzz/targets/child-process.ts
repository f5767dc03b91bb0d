/**
 * The service's end of a prover process whose every message is the fuzzer's: each request settles,
 * the process is killed once when it makes no sense, and its end is told once.
 */
import { ChildProcess } from "node:child_process";
import { PassThrough, Duplex } from "node:stream";
import { ProverChild } from "../../../server/prover/child-process.js";
import type { ChildQuestion } from "../../../server/prover/child-process.js";
import type { ChildStart } from "../../../server/prover/messages.js";
import { parseBoolean, parseProof, parseVerdicts } from "../../../server/prover/messages.js";
import { ProverError } from "../../../server/prover/prover.js";
import { mutateBytes } from "../engine/mutate-bytes.js";
import { mutateValue } from "../engine/mutate-value.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { description, framed, fromHost, requests } from "../prover-values.js";

const ready = framed({ type: "ready", description });

export const target: FuzzTarget = {
  name: "child-process",
  bytesMax: 16 * 1024,
  msMax: 50,
  msPerKb: 5,
  seeds: () => [
    new Uint8Array(Buffer.concat(fromHost.slice(0, 5).map(framed))),
    new Uint8Array(Buffer.concat(fromHost.map(framed))),
  ],
  mutate: (input, random) => {
    const values = fromHost.map((value) =>
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

/** A process that there is none of. */
class Child extends ChildProcess {
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
  const child = new Child();
  const backend = { library: "x", config: "" };
  const start: ChildStart = { type: "start", backend, nice: 0, cores: [], fileBytesMax: 0 };
  const host = new ProverChild(child, start, { nowMs: () => 0, oomKills: () => 0 });
  const told = host.ready.then(
    () => "ready",
    (error: unknown) => checked(error),
  );
  // Most of what can go wrong comes after it.
  const isReadyFirst = input.subarray(0, ready.length).every((byte, at) => byte === ready[at]);
  if (isReadyFirst) child.pipe.push(ready);
  await turn();
  const [signatures, claim, proof] = requests(32, 64) as ChildQuestion[];
  const settled = Promise.allSettled([
    signatures && host.request(signatures, (value) => parseVerdicts(value, 2)),
    claim && host.request(claim, parseBoolean),
    proof && host.request(proof, (value) => parseProof(value, 1000)),
  ]);
  child.pipe.push(isReadyFirst ? input.subarray(ready.length) : input);
  await turn();
  child.pipe.destroy();
  await turn();
  holds(child.kills === 1, "a process without a pipe is killed, and once");
  child.end();
  const { cause, detail } = await host.exited;
  holds(["died", "start_failed"].includes(cause) && detail !== "", "its end is explained");
  for (const result of await settled) {
    if (result.status === "rejected") checked(result.reason);
  }
  await told;
  holds(host.residentBytes >= 0, "memory is a number");
}

function checked(error: unknown): string {
  if (!(error instanceof ProverError)) throw error;
  return error.kind;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
