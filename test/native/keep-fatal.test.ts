/**
 * A library that ends its process in a call: the service keeps the call, and `conformance --replay`
 * makes it again, with the same end. A file that is no such call is refused.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { createLog } from "../../server/log/log.js";
import { FatalCalls } from "../../server/prover/fatal-calls.js";
import { forkProver, proverEnvironment } from "../../server/prover/forked-prover.js";
import { foldedProof, foldOfAll, type Prover } from "../../server/prover/prover.js";
import { FaultyBackend, type Fault } from "../../tools/harness/chaos-backend.js";
import { dataOf, groupsOfSlot, publicKey, raw, raws } from "../../tools/harness/vectors.js";
import { Oracle } from "../chaos/chaos-oracle.js";
import { Site, until } from "../chaos/chaos-service.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const SLOT = 7;
const message = { root: new Uint8Array(32), slot: SLOT };
const keys = publicKey(0);
const { signature: signatures } = raw(0, 0);
const backend = new FaultyBackend();
afterAll(() => backend.dispose());

const calls = {
  verify_signatures: (p) => p.verifySignatures({ ...message, keys, signatures }),
  verify: (p) => p.verify(foldedProof(message, { proof: new Uint8Array(40), keys })),
  prove: (p) =>
    p.prove(foldOfAll(p.description, { message, keys, signatures, children: [], logInvRate: 0 })),
} satisfies Record<string, (prover: Prover) => Promise<unknown>>;

/** Starts a prover whose fatal calls are kept in the folder. */
async function keptProver(folder: string) {
  mkdirSync(folder, { recursive: true });
  const kept = new FatalCalls(folder, createLog("silent"));
  const prover = forkProver({
    deviceId: "cpu0",
    childPath: join(process.cwd(), "dist/server/prover/child-main.js"),
    backend: backend.options,
    ...{ nice: 0, cores: [], env: proverEnvironment(process.env, {}), startTimeoutMs: 60_000 },
    onFatal: (fatal) => kept.keep(fatal),
  });
  await prover.ready;
  return { prover, kept };
}

/** Lets the prover die in the call, and returns the path of what is kept. */
async function dieIn(call: keyof typeof calls, fault: Fault): Promise<string> {
  const folder = join(temporaryFolder(), "kept");
  const { prover, kept } = await keptProver(folder);
  backend.orderOnce(call, fault);
  await expect(calls[call](prover)).rejects.toMatchObject({ kind: "died" });
  await prover.exited;
  await kept.close();
  const [name = "none"] = readdirSync(folder);
  return join(folder, name);
}

function replay(file: string, library = backend.options.library, program = "build/conformance") {
  return spawnSync(program, ["--replay", file, library], { encoding: "utf8" });
}

describe("the call in which a prover died", () => {
  it.each<[keyof typeof calls, Fault, NodeJS.Signals]>([
    ["prove", "abort", "SIGABRT"],
    ["verify", "segfault", "SIGSEGV"],
    ["verify_signatures", "illegal", "SIGILL"],
  ])("%s: %s is kept, and its replay ends by the same signal", async (call, fault, signal) => {
    const file = await dieIn(call, fault);
    backend.orderOnce(call, fault);
    const again = replay(file);
    expect(again.signal, again.stdout + again.stderr).toBe(signal);
    expect(again.stdout).toContain(`died: ${signal}`);
    expect(again.stdout).toMatch(new RegExp(`calling ${call}\n$`));
  });

  it("and the replay of one that goes well says so: exit code 0", async () => {
    const file = await dieIn("prove", "abort");
    const again = replay(file);
    expect(again.stdout).toMatch(/a proof of 40 bytes\nprove returned status 0\n/);
    expect(again.status).toBe(0);
  });

  it("is kept after INTERNAL too, and its replay ends with exit code 1", async () => {
    const file = await dieIn("verify", "internal");
    backend.orderOnce("verify", "internal");
    const again = replay(file);
    expect(again.stdout).toMatch(/verify returned status 6: a panic was caught\n.*is replaced/);
    expect(again.status).toBe(1);
  });

  it.each<[keyof typeof calls, string]>([
    ["prove", "it made no proof"],
    ["verify_signatures", "a verdict is not one of the three"],
  ])("%s is kept after OK without a result too: exit code 1", async (call, flaw) => {
    const file = await dieIn(call, "empty");
    backend.orderOnce(call, "empty");
    const again = replay(file);
    expect(again.stdout).toContain(
      `${call} returned status 0, but ${flaw}\nthe process is replaced`,
    );
    expect(again.status).toBe(1);
  });
});

it("a prover that the service kills leaves no file behind", async () => {
  const folder = join(temporaryFolder(), "kept");
  const { prover, kept } = await keptProver(folder);
  backend.orderOnce("prove", "hang");
  const proof = calls.prove(prover);
  prover.kill();
  await expect(proof).rejects.toMatchObject({ kind: "died" });
  await prover.exited;
  await kept.close();
  expect(readdirSync(folder)).toEqual([]);
});

test("a service with --keep-fatal names the file in its log, and it replays", async () => {
  const own = new FaultyBackend();
  const site = new Site(own.options);
  const folder = join(site.folder, "kept");
  try {
    const service = await site.start({ LEAN_AGGREGATOR_KEEP_FATAL: folder });
    const oracle = new Oracle(site.address);
    const [index = 0] = groupsOfSlot(100);
    own.orderForSlot("prove", 100, "segfault");
    await oracle.endings(
      await oracle.submit([{ data: dataOf(index), rawSignatures: raws(index, 0, 2) }]),
    );
    await until(() => service.log.some(({ msg }) => msg.includes("is kept already")));
    const line = service.log.find(({ msg }) => msg === "kept the call in which a prover died");
    const [name = ""] = readdirSync(folder);
    expect(line).toMatchObject({ path: join(folder, name) });
    expect(readdirSync(folder)).toHaveLength(1);
    expect(replay(join(folder, name), own.options.library).signal).toBe("SIGSEGV");
    await oracle.close();
    await service.stop();
  } finally {
    site.dispose();
    own.dispose();
  }
});

describe("a file that is no kept call", () => {
  const folder = temporaryFolder();
  const program = join(folder, "conformance-asan");
  let good: Buffer;

  beforeAll(async () => {
    const sources = ["conformance", "replay", "subject"].map((n) => `native/conformance/${n}.c`);
    execFileSync(process.env.CC ?? "cc", [
      ...["-std=c11", "-fsanitize=address,undefined", "-O1"],
      ...["-fno-sanitize-recover=all", "-o", program, ...sources, "-ldl", "-pthread"],
    ]);
    good = readFileSync(await dieIn("prove", "abort"));
  });

  function statusOf(content: Buffer): { status: number | null; stderr: string } {
    const file = join(folder, "odd.call");
    writeFileSync(file, content);
    return replay(file, backend.options.library, program);
  }

  it("because it was cut off or has more is refused", () => {
    for (let length = 0; length < good.length; length += 97) {
      const { status, stderr } = statusOf(good.subarray(0, length));
      expect(stderr).toMatch(/ends too early|is not a kept call/);
      expect(status, stderr).toBe(2);
    }
    expect(statusOf(Buffer.concat([good, Buffer.from([0])])).stderr).toContain("bytes after");
  });

  it("because its numbers are others is refused or called, and never ends the program", () => {
    // Where lengths and counts stand, and now and then among keys and signatures.
    for (let at = 8; at < good.length - 4; at += at < 900 ? 7 : 151) {
      const changed = Buffer.from(good);
      changed.fill(0xff, at, at + 4);
      const { status, stderr } = statusOf(changed);
      expect(stderr, `at ${at}`).not.toContain("ERROR");
      expect([0, 1, 2], `at ${at}: ${stderr}`).toContain(status);
    }
  });

  it("because it is a folder, or is not there, is refused", () => {
    expect(replay(folder).stderr).toMatch(/is not a regular file|cannot be opened/);
    expect(replay(join(folder, "none")).stderr).toContain("cannot be opened");
    expect(replay(join(folder, "none")).status).toBe(2);
  });
});
