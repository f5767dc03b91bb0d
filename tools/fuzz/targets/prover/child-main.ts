/**
 * A real prover process (`child-main.ts`, with the addon and the faulty backend) under the fuzzer's
 * messages: it answers every valid request, or ends with exit code 2 and an error on stderr.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { join } from "node:path";
import { deserialize } from "node:v8";
import { limits } from "../../../../server/limits.js";
import { parseFromChild } from "../../../../server/prover/messages.js";
import type { ChildRequest } from "../../../../server/prover/messages.js";
import { PIPE_FD, readMessages, writeMessage } from "../../../../server/prover/pipe.js";
import { FaultyBackend } from "../../../harness/chaos-backend.js";
import { publicKey, raw } from "../../../harness/vectors.js";
import { mutateBytes } from "../../engine/mutate-bytes.js";
import { mutateValue } from "../../engine/mutate-value.js";
import type { FuzzTarget } from "../../engine/target.js";
import { holds } from "../../engine/target.js";
import { framed, requests } from "../../prover-values.js";

const CHILD = join(process.cwd(), "dist/server/prover/child-main.js");
const EXIT_GARBLED_MESSAGE = 2;
const HEADER_BYTES = 4;
const good = requests(publicKey(0).length, raw(0, 0).signature.length);

export const target: FuzzTarget = {
  name: "child-main",
  bytesMax: 64 * 1024,
  // Time to restart the process on a busy machine.
  msMax: 10_000,
  msPerKb: 10,
  seeds: () => good.map((request) => new Uint8Array(framed(request))),
  mutate: (input, random) => {
    if (random.chance(0.1)) return mutateBytes(input, random);
    return new Uint8Array(framed(mutateValue(random.pick(good), random)));
  },
  open: async () => {
    const backend = new FaultyBackend();
    let child = await RealChild.start(backend);
    return {
      run: async (input) => {
        if (!(await child.survives(input))) child = await RealChild.start(backend);
      },
      close: async () => {
        await child.kill();
        backend.dispose();
      },
    };
  },
};

/** The request after every input: its answer shows that the input has been handled. */
const PROBE: ChildRequest = { ...(good[1] as ChildRequest), id: 1_000_000 };

class RealChild {
  private answered = () => {};
  private stderr = "";
  private readonly exited: Promise<unknown[]>;

  private constructor(
    private readonly process: ChildProcess,
    private readonly pipe: Duplex,
  ) {
    this.exited = once(process, "close");
    // A write after the end fails; `close` reports that end.
    pipe.on("error", () => undefined);
    process.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  static async start({ options }: FaultyBackend): Promise<RealChild> {
    const stdio = ["ignore", "ignore", "pipe", "pipe"] as const;
    const spawned = spawn(process.execPath, [CHILD], { stdio: [...stdio] });
    const child = new RealChild(spawned, spawned.stdio[PIPE_FD] as Duplex);
    await new Promise<void>((resolve) => {
      child.answered = resolve;
      readMessages(
        child.pipe,
        {
          onMessage: (raw) => {
            const message = parseFromChild(raw);
            const isProbe =
              (message.kind === "done" || message.kind === "failed") && message.id === PROBE.id;
            if (message.kind === "ready" || isProbe) child.answered();
          },
          onGarbage: (why) => holds(false, `the child sends messages, not ${why}`),
          onEnd: () => child.answered(),
        },
        limits.proverReplyBytesMax,
      );
      writeMessage(child.pipe, {
        kind: "start",
        backend: options,
        nice: 0,
        cores: [],
        fileBytesMax: 0,
      });
    });
    return child;
  }

  /** False when the child has ended, as it must after a garbled input. */
  async survives(input: Uint8Array): Promise<boolean> {
    const done = new Promise<void>((resolve) => (this.answered = resolve));
    this.pipe.write(input);
    if (isWhole(input)) writeMessage(this.pipe, PROBE);
    // The child waits for the rest of an incomplete frame, so its end is caused here.
    else this.pipe.end();
    // A child that could not start has ended already.
    await Promise.race([done, this.exited]);
    if (isWhole(input) && this.process.exitCode === null && !this.pipe.destroyed) return true;
    await this.exited;
    const { exitCode, signalCode } = this.process;
    // The child kills itself at the end of its pipe.
    const isKilled = signalCode === "SIGKILL" && !isWhole(input);
    holds(
      exitCode === EXIT_GARBLED_MESSAGE || isKilled,
      `ended by ${String(signalCode ?? exitCode)}: ${this.stderr}`,
    );
    holds(isKilled || this.stderr !== "", "a child that ends says why");
    return false;
  }

  async kill(): Promise<void> {
    this.process.kill("SIGKILL");
    await this.exited;
  }
}

/** True when every frame, or every frame up to the first garbled one, is complete. */
function isWhole(input: Uint8Array): boolean {
  const bytes = Buffer.from(input);
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < HEADER_BYTES) return false;
    const end = at + HEADER_BYTES + bytes.readUInt32BE(at);
    if (end > bytes.length) return false;
    try {
      deserialize(bytes.subarray(at + HEADER_BYTES, end));
    } catch {
      return true;
    }
    at = end;
  }
  return true;
}
