/** What a prover process reports of a library that goes wrong: at its setup, or in a call. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, test } from "vitest";
import { forkProver, proverEnvironment } from "../../server/prover/forked-prover.js";
import { foldedProof, foldOfAll } from "../../server/prover/prover.js";
import { FaultyBackend, type Fault, type FaultyCall } from "../../tools/harness/chaos-backend.js";
import { publicKey, raw } from "../../tools/harness/vectors.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const FOLD = ".kinds = LP_FOLD";
const message = { root: new Uint8Array(32), slot: 7 };
const keys = publicKey(0);
const { signature } = raw(0, 0);
const claim = { proof: new Uint8Array(40), keys };

const backends: FaultyBackend[] = [];
function faulty(limits = FOLD, defines: Record<string, string> = {}): FaultyBackend {
  const backend = new FaultyBackend(limits, defines);
  backends.push(backend);
  return backend;
}
afterAll(() => backends.forEach((backend) => backend.dispose()));

function fork(backend: { library: string; config: string }, startTimeoutMs = 60_000) {
  return forkProver({
    deviceId: "cpu0",
    childPath: join(process.cwd(), "dist/server/prover/child-main.js"),
    backend,
    nice: 0,
    cores: [],
    env: proverEnvironment(process.env, {}),
    startTimeoutMs,
  });
}

describe("a library that goes wrong at its setup", () => {
  it.each<[string, FaultyCall, Fault, RegExp]>([
    ["crashes in open", "open", "segfault", /^SIGSEGV: .*, during its setup: faulty backend: segf/],
    ["crashes in describe", "describe", "segfault", /^SIGSEGV: .*, during its setup/],
    ["aborts", "open", "abort", /^SIGABRT: abort\(\) ran.*, during its setup/],
    ["lacks an instruction", "open", "illegal", /^SIGILL: .* processor lacks; .*AVX2/],
    ["calls exit", "open", "exit", /^SIG(ABRT|SEGV): .*, during its setup: faulty backend: exit/],
    ["calls _exit", "open", "quit", /^it ended itself with exit code 0, during its setup/],
    ["writes to the channel", "open", "garbage", /^garbled message: .*: faulty backend: garbage/],
    ["closes the channel", "open", "close", /, during its setup/],
  ])("and %s is reported with the cause", async (_what, call, fault, detail) => {
    const backend = faulty();
    backend.orderOnce(call, fault);
    const exit = await fork(backend.options).exited;
    expect(exit.detail).toMatch(detail);
    expect(exit.cause).toBe("start_failed");
  });

  it("and reports INTERNAL gives its own text, and its path", async () => {
    const backend = faulty();
    backend.orderOnce("open", "internal");
    const { cause, detail } = await fork(backend.options).exited;
    expect(detail).toContain(`${backend.options.library}: open failed: a panic was caught`);
    expect(cause).toBe("start_failed");
  });

  it("and hangs is killed after the time limit", async () => {
    const backend = faulty();
    backend.orderOnce("open", "hang");
    expect((await fork(backend.options, 1500).exited).detail).toMatch(/^not ready after 1500 ms/);
  });

  it("but prints to standard output is set up", async () => {
    const backend = faulty();
    backend.orderOnce("open", "print");
    const prover = fork(backend.options);
    await prover.ready;
    prover.kill();
    expect(await prover.exited).toEqual({
      cause: "killed_by_us",
      detail: expect.stringMatching(/^killed by the service/) as string,
    });
  });
});

test("a prover that another program kills names that as a cause", async () => {
  const prover = fork(faulty().options);
  await prover.ready;
  process.kill(prover.pid ?? 0, "SIGKILL");
  const { cause, detail } = await prover.exited;
  expect(cause).toBe("died");
  expect(detail).toMatch(/another program killed it|something outside the service killed it/);
});

describe("a library that can never be used", () => {
  it.each<[string, Record<string, string>, RegExp]>([
    ["has a later ABI", { FAULTY_API: "3" }, /faulty\.so does not offer version 2 of the ABI$/],
    [
      "is of before the versions",
      { FAULTY_IS_OLD: "1" },
      /faulty\.so does not export lean_prover_api of lean_prover\.h, version 2$/,
    ],
    ["lacks a function", { FAULTY_LACKS_VERIFY: "1" }, /faulty\.so lacks a function of lp_api$/],
    ["has an empty name", { FAULTY_SCHEME: '""' }, /has the scheme ""/],
  ])("because it %s is refused with the reason and its path", async (_what, defines, detail) => {
    const exit = await fork(faulty(FOLD, defines).options).exited;
    expect(exit.detail).toMatch(detail);
    expect(exit.cause).toBe("refused");
  });
});

describe("a file that is no library", () => {
  it.each([
    ["is missing", "nothing.so", undefined, /cannot load .*nothing\.so: .*No such file/],
    ["is text", "text.so", "not a library", /cannot load .*text\.so: .*(too short|invalid ELF)/],
  ])("because it %s is reported with its path", async (_what, name, content, detail) => {
    const library = join(temporaryFolder(), name);
    if (content !== undefined) writeFileSync(library, content);
    const exit = await fork({ library, config: "" }).exited;
    expect(exit.detail).toMatch(detail);
    expect(exit.cause).toBe("start_failed");
  });
});

describe("a library that goes wrong in a call", () => {
  const calls = {
    verify_signatures: (p) => p.verifySignatures({ ...message, keys, signatures: signature }),
    verify: (p) => p.verify(foldedProof(message, claim)),
    prove: (p) =>
      p.prove(
        foldOfAll(p.description, {
          ...{ message, keys, signatures: signature, children: [], logInvRate: 0 },
        }),
      ),
  } satisfies Record<string, (prover: ReturnType<typeof fork>) => Promise<unknown>>;

  it.each<[keyof typeof calls, Fault, RegExp]>([
    ["verify_signatures", "segfault", /^SIGSEGV: .*, in lp_api.verify_signatures: faulty/],
    ["verify", "abort", /^SIGABRT: .*, in lp_api.verify: faulty/],
    ["prove", "illegal", /^SIGILL: .*, in lp_api.prove: faulty/],
    ["prove", "quit", /^it ended itself with exit code 0, in lp_api.prove: faulty/],
    ["prove", "close", /it closed its channel to the service, in lp_api.prove/],
    ["prove", "internal", /^lp_api.prove failed inside the library: a panic was/],
    ["verify_signatures", "internal", /^lp_api.verify_signatures failed inside the lib/],
    ["verify", "internal", /^lp_api.verify failed inside the library/],
  ])("%s: %s ends the process, and the call is named", async (call, fault, detail) => {
    const backend = faulty();
    const prover = fork(backend.options);
    await prover.ready;
    backend.orderOnce(call, fault);
    await expect(calls[call](prover)).rejects.toMatchObject({ kind: "died" });
    const exit = await prover.exited;
    expect(exit.detail).toMatch(detail);
    expect(exit.cause).toBe("died");
  });

  it("prove: too little memory ends the process as a kill for memory does", async () => {
    const backend = faulty();
    const prover = fork(backend.options);
    await prover.ready;
    backend.orderOnce("prove", "starve");
    await expect(calls.prove(prover)).rejects.toMatchObject({ kind: "died" });
    const { cause, detail } = await prover.exited;
    expect(detail).toMatch(/^lp_api.prove failed inside the library: out of memory/);
    expect(cause).toBe("killed_for_memory");
  });
});

it("the memory after the setup is that of the process, known once it is ready", async () => {
  const prover = fork(faulty(FOLD, { FAULTY_RESIDENT: "300000000" }).options);
  await prover.ready;
  expect(prover.residentBytes()).toBeGreaterThan(300e6);
  prover.kill();
  await prover.exited;
});
