/** The niceness of a prover in the node's process: of its threads alone. */
import { pbkdf2 } from "node:crypto";
import { once } from "node:events";
import { getPriority } from "node:os";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import {
  threadTimes,
  yieldSince,
} from "../../../../tools/devnet/node/aggregators/thread-niceness.js";

const NICE = 12;

test.runIf(process.platform === "linux" && getPriority() < NICE)(
  "threads that have started and the one that has worked are nice, the others are as they were",
  async () => {
    await promisify(pbkdf2)("", "", 1, 8, "sha512"); // libuv's threads have started
    const own = getPriority();
    const before = threadTimes();
    const worker = new Worker("setInterval(() => undefined, 1000)", { eval: true });
    await once(worker, "online");
    const started = [...threadTimes().keys()].filter((thread) => !before.has(thread));
    await promisify(pbkdf2)("", "", 400_000, 8, "sha512"); // on one of libuv's threads
    yieldSince(before, NICE);
    const nice = [...threadTimes().keys()].filter((thread) => getPriority(thread) === NICE);
    expect(started.length).toBeGreaterThan(0);
    expect(nice).toEqual(expect.arrayContaining(started));
    expect(nice.filter((thread) => before.has(thread))).toHaveLength(1);
    expect(getPriority()).toBe(own);
    await worker.terminate();
  },
);
