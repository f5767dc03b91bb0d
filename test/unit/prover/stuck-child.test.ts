/** A prover process that lives on after its SIGKILL: its pipe closes, and it is reported once. */
import { ChildProcess } from "node:child_process";
import { Duplex, PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ProverChild } from "../../../server/prover/child-process.js";
import type { ChildStart } from "../../../server/prover/messages.js";

const PID = 77;
const own = { nice: 0, cores: [], threads: 0, fileBytesMax: 0 };
const start: ChildStart = { kind: "start", backend: { library: "x", config: "" }, ...own };

class Pipe extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

/** A process that does not exist. */
class PlayedProcess extends ChildProcess {
  readonly pipe = new Pipe();
  override readonly pid = PID;
  override readonly stderr = new PassThrough();
  override readonly stdio: ChildProcess["stdio"] = [null, null, this.stderr, this.pipe, null];

  constructor(private readonly mayBeKilled: boolean) {
    super();
  }

  override kill(): boolean {
    if (!this.mayBeKilled) this.emit("error", new Error("kill EPERM"));
    return this.mayBeKilled;
  }

  end(): void {
    this.emit("exit", null, "SIGKILL");
    this.emit("close", null, "SIGKILL");
  }
}

/** Kills the process; returns the process ids that are reported. */
function killed(process: PlayedProcess) {
  const reported: number[] = [];
  const watch = { nowMs: () => 0, oomKills: () => 0 };
  const child = new ProverChild(process, start, watch, { onStuck: (pid) => reported.push(pid) });
  child.ready.catch(() => undefined);
  child.endBecause("killed_by_us", "killed by the service");
  return { child, reported };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a prover that may not be killed loses its pipe, and is reported once", async () => {
  const process = new PlayedProcess(false);
  const { child, reported } = killed(process);
  expect(process.pipe.destroyed).toBe(true);
  await vi.advanceTimersByTimeAsync(4999);
  expect(reported).toEqual([]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(reported).toEqual([PID]);
  process.end();
  expect(await child.exited).toEqual({ cause: "killed_by_us", detail: "killed by the service" });
});

test("a prover that ends after its SIGKILL is not reported", async () => {
  const process = new PlayedProcess(true);
  const { child, reported } = killed(process);
  expect(process.pipe.destroyed).toBe(false);
  process.end();
  await child.exited;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(reported).toEqual([]);
});
