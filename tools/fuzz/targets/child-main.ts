/**
 * A real prover process (`host.ts`, the addon and the faulty backend in it) that is sent whatever
 * the fuzzer makes: it answers every request that makes sense, or ends with words and exit code 2.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { join } from "node:path";
import { deserialize } from "node:v8";
import { limits } from "../../../server/limits.js";
import { parseFromChild } from "../../../server/prover/messages.js";
import type { ChildRequest } from "../../../server/prover/messages.js";
import { PIPE_FD, readMessages, writeMessage } from "../../../server/prover/pipe.js";
import { FaultyBackend } from "../../harness/chaos-backend.js";
import { publicKey, raw } from "../../harness/vectors.js";
import { mutateBytes } from "../engine/mutate-bytes.js";
import { mutateValue } from "../engine/mutate-value.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { framed, requests } from "../prover-values.js";

const HOST = join(process.cwd(), "dist/server/prover/child-main.js");
const EXIT_GARBLED_MESSAGE = 2;
const HEADER_BYTES = 4;
const good = requests(publicKey(0).length, raw(0, 0).signature.length);

export const target: FuzzTarget = {
  name: "child-main",
  bytesMax: 64 * 1024,
  // Starting a process again, on a busy machine.
  msMax: 10_000,
  msPerKb: 10,
  seeds: () => good.map((request) => new Uint8Array(framed(request))),
  mutate: (input, random) => {
    if (random.chance(0.1)) return mutateBytes(input, random);
    return new Uint8Array(framed(mutateValue(random.pick(good), random)));
  },
  open: async () => {
    const backend = new FaultyBackend();
    let host = await Host.start(backend);
    return {
      run: async (input) => {
        if (!(await host.survives(input))) host = await Host.start(backend);
      },
      close: async () => {
        await host.kill();
        backend.dispose();
      },
    };
  },
};

/** The last request of every input: its answer says that what came before is done with. */
const PROBE: ChildRequest = { ...(good[1] as ChildRequest), id: 1_000_000 };

class Host {
  private answered = () => {};
  private stderr = "";
  private readonly exited: Promise<unknown[]>;

  private constructor(
    private readonly child: ChildProcess,
    private readonly pipe: Duplex,
  ) {
    this.exited = once(child, "close");
    // To write to one that has ended fails: `close` tells of it.
    pipe.on("error", () => undefined);
    child.stderr?.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  static async start({ options }: FaultyBackend): Promise<Host> {
    const child = spawn(process.execPath, [HOST], { stdio: ["ignore", "ignore", "pipe", "pipe"] });
    const host = new Host(child, child.stdio[PIPE_FD] as Duplex);
    await new Promise<void>((resolve) => {
      host.answered = resolve;
      readMessages(
        host.pipe,
        {
          onMessage: (raw) => {
            const message = parseFromChild(raw);
            const isProbe = message.type === "reply" && message.id === PROBE.id;
            if (message.type === "ready" || isProbe) host.answered();
          },
          onGarbage: (why) => holds(false, `the host sends messages, not ${why}`),
          onEnd: () => host.answered(),
        },
        limits.proverReplyBytesMax,
      );
      writeMessage(host.pipe, {
        type: "start",
        backend: options,
        nice: 0,
        cores: [],
        fileBytesMax: 0,
      });
    });
    return host;
  }

  /** False when it has ended, as it should of such an input. */
  async survives(input: Uint8Array): Promise<boolean> {
    const done = new Promise<void>((resolve) => (this.answered = resolve));
    this.pipe.write(input);
    if (isWhole(input)) writeMessage(this.pipe, PROBE);
    // What is cut short is waited on for ever: nobody can tell.
    else this.pipe.end();
    // It may have ended before, when it could not start.
    await Promise.race([done, this.exited]);
    if (isWhole(input) && this.child.exitCode === null && !this.pipe.destroyed) return true;
    await this.exited;
    const { exitCode, signalCode } = this.child;
    // At the end of its pipe it kills itself.
    const isKilled = signalCode === "SIGKILL" && !isWhole(input);
    holds(
      exitCode === EXIT_GARBLED_MESSAGE || isKilled,
      `ended by ${String(signalCode ?? exitCode)}: ${this.stderr}`,
    );
    holds(isKilled || this.stderr !== "", "a host that ends says why");
    return false;
  }

  async kill(): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exited;
  }
}

/** Whether every frame of it is there to its end, or the first garbled one is. */
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
