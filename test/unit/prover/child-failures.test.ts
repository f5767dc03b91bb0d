/** A prover process that dies, hangs or lies, played by small scripts in place of `child-main.ts`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  forkProver,
  proverEnvironment,
  startForkedProver,
} from "../../../server/prover/forked-prover.js";
import type { ChildWatch } from "../../../server/prover/child-process.js";
import { foldOfAll } from "../../../server/prover/prover.js";
import type { Prover } from "../../../server/prover/prover.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const START_MS_MAX = 60_000;
const message = { root: new Uint8Array(32), slot: 7 };
/** The part of `child-main.ts` that every script has. */
const PIPE = `import { closeSync } from "node:fs";
  import { Socket } from "node:net";
  import { readMessages, writeMessage } from "${join(process.cwd(), "dist/server/prover/pipe.js")}";
  const pipe = new Socket({ fd: 3, readable: true, writable: true });
  const send = (message) => writeMessage(pipe, message);
  const onMessage = (listener) => readMessages(pipe,
    { onMessage: listener, onGarbage: () => process.exit(2), onEnd: () => process.exit(0) },
    1e6);`;
const scratch = temporaryFolder();

describe("a prover process that goes wrong", () => {
  function childOf(name: string, source: string): string {
    const path = join(scratch, `${name}.mjs`);
    writeFileSync(path, `${PIPE}${source}`);
    return path;
  }

  function startWith(
    name: string,
    source: string,
    changes: { startTimeoutMs?: number; watch?: ChildWatch } = {},
  ) {
    return startForkedProver(optionsOf(name, source, changes));
  }

  const forkWith = (name: string, source: string) => forkProver(optionsOf(name, source, {}));

  function optionsOf(
    name: string,
    source: string,
    changes: { startTimeoutMs?: number; watch?: ChildWatch },
  ) {
    return {
      deviceId: "cpu0",
      childPath: childOf(name, source),
      backend: { library: "none", config: "" },
      nice: 0,
      cores: [],
      env: proverEnvironment(process.env, {}),
      startTimeoutMs: START_MS_MAX,
      ...changes,
    };
  }

  const READY = `send({ kind: "ready", description: { backend: "b", scheme: "s",
    revision: "r", publicKeyBytes: 32, signatureBytes: 64, proofBytesMax: 10,
    childrenMax: 0, messagesMax: 0, rates: 0 }, setupMs: 0, residentBytes: 1 });`;
  const verify = (prover: Prover) =>
    prover.verifySignatures({
      ...message,
      keys: new Uint8Array(64),
      signatures: new Uint8Array(128),
    });

  it("in its library is replaced, and the call is named", async () => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      send({ kind: "failed", id: m.id, failure: "internal", message: "panic at lib.rs:7" });
      setInterval(() => undefined, 1000); });`;
    const prover = await startWith("panics", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    expect(await prover.exited).toMatchObject({
      cause: "died",
      detail: expect.stringMatching(
        /^lp_api.verify_signatures failed inside the library: panic at lib.rs:7/,
      ) as string,
    });
  });

  it("for lack of memory in its library counts as killed for memory", async () => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      send({ kind: "failed", id: m.id, failure: "memory", message: "out of memory" });
      setInterval(() => undefined, 1000); });`;
    const prover = await startWith("starves", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    expect(await prover.exited).toEqual({
      cause: "killed_for_memory",
      detail: "lp_api.verify_signatures failed inside the library: out of memory",
    });
  });

  it("with input at fault goes on, and the request is refused", async () => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      send({ kind: "failed", id: m.id, failure: "refused", message: "too long" }); });`;
    const prover = await startWith("refuses", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "refused" });
    await expect(verify(prover)).rejects.toMatchObject({ kind: "refused" });
    prover.kill();
    expect(await prover.exited).toEqual({
      cause: "killed_by_us",
      detail: "killed by the service",
    });
  });

  it.each([
    [true, "refused"],
    [false, "start_failed"],
  ])("by a setup that fails (final: %s) gives the reason alone", async (isFinal, cause) => {
    const source = `onMessage(() => send({ kind: "startFailed", why: "no such card",
      isFinal: ${isFinal} })); setInterval(() => undefined, 1000);`;
    const starting = startWith("cannot", source);
    await expect(starting).rejects.toMatchObject({
      message: "prover of cpu0 did not start: no such card",
      cause: { kind: "start_failed" },
    });
    const prover = forkWith("cannot", source);
    expect(await prover.exited).toEqual({ cause, detail: "no such card" });
  });

  it("by exiting before it is ready is reported with the end of its stderr", async () => {
    const source = `console.error("no such device"); process.exit(7);`;
    await expect(startWith("exits", source)).rejects.toMatchObject({
      kind: "start_failed",
      message: expect.stringMatching(
        /cpu0.*exit code 7, during its setup: no such device/,
      ) as string,
    });
  });

  it("by never becoming ready is killed", async () => {
    const source = `onMessage(() => undefined);`;
    await expect(startWith("hangs", source, { startTimeoutMs: 300 })).rejects.toMatchObject({
      kind: "start_failed",
      message: expect.stringContaining("not ready after 300 ms") as string,
    });
  });

  it("with a garbled reply is killed, and its request rejected", async () => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      send({ kind: "done", id: m.id, value: ["ok"] }); });`;
    const prover = await startWith("garbles", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    expect(await prover.exited).toMatchObject({
      cause: "died",
      detail: expect.stringContaining("expected 2 verdicts") as string,
    });
  });

  it.each([
    ["a frame that is no message", `Buffer.from([0, 0, 0, 2, 1, 2])`, /garbled message/],
    ["a frame beyond any answer", `Buffer.from([0, 16, 0, 0])`, /a frame of 1048580 bytes/],
    ["a frame without end", `Buffer.alloc(16, 0xff)`, /garbled message: a frame of 4294967299/],
  ])("with %s is killed, and its request rejected", async (_what, garbage, detail) => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      pipe.write(${garbage}); });`;
    const prover = await startWith("garbage", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    expect(await prover.exited).toMatchObject({
      cause: "died",
      detail: expect.stringMatching(detail) as string,
    });
  });

  it("by heartbeats without end is killed", async () => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      for (let beat = 0; beat < 5000; beat++) send({ kind: "heartbeat", residentBytes: 1, peakBytes: 1 }); });`;
    const prover = await startWith("floods", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    expect((await prover.exited).detail).toContain("heartbeats without end");
  });

  it("is not killed for heartbeats that have queued up while the service stood still", async () => {
    let nowMs = 0;
    const watch = { nowMs: () => nowMs, oomKills: () => 0 };
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      for (let beat = 0; beat < 1500; beat++) send({ kind: "heartbeat", residentBytes: 1, peakBytes: 1 });
      send({ kind: "done", id: m.id, value: ["ok", "ok"] }); });`;
    const prover = await startWith("stood-still", source, { watch });
    nowMs = 10 * 60_000;
    expect(await verify(prover)).toEqual(["ok", "ok"]);
    prover.kill();
    expect(await prover.exited).toMatchObject({ cause: "killed_by_us" });
  });

  it.each([
    ["larger than its reserved memory", "524289", /the proof has 524289 bytes/],
    ["of no bytes", "0", /the proof has 0 bytes/],
  ])("with a proof %s is killed", async (_what, bytes, detail) => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY.replace("proofBytesMax: 10", "proofBytesMax: 0")} return; }
      send({ kind: "done", id: m.id, value: new Uint8Array(${bytes}) }); });`;
    const prover = await startWith("proves", source);
    const raw = { keys: new Uint8Array(32), signatures: new Uint8Array(64) };
    const proving = prover.prove(
      foldOfAll(prover.description, { message, ...raw, children: [], logInvRate: 0 }),
    );
    await expect(proving).rejects.toMatchObject({ kind: "died" });
    expect((await prover.exited).detail).toMatch(detail);
  });

  it("by closing its channel is killed, and its request rejected", async () => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      setInterval(() => undefined, 1000);
      closeSync(3); });`;
    const prover = await startWith("closes", source);
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    expect(await prover.exited).toMatchObject({
      cause: "died",
      detail: expect.stringMatching(
        /it closed its channel to the service, in lp_api.verify_signatures$/,
      ) as string,
    });
  });

  it("by a kill that the kernel counts is distinguished from any other SIGKILL", async () => {
    let oomKills = 7;
    const watch = { nowMs: () => performance.now(), oomKills: () => oomKills };
    const source = `onMessage((m) => { if (m.kind === "start") { ${READY} } });`;
    const sent = await startWith("killed", source, { watch });
    const counted = await startWith("killed", source, { watch });
    process.kill(sent.pid ?? 0, "SIGKILL");
    expect(await sent.exited).toMatchObject({ cause: "died" });
    oomKills++;
    process.kill(counted.pid ?? 0, "SIGKILL");
    expect(await counted.exited).toMatchObject({
      cause: "killed_for_memory",
      detail: expect.stringContaining("killed by the kernel for memory") as string,
    });
  });

  it("by a SIGKILL is not taken for out of memory since another process was, long before", async () => {
    let [nowMs, oomKills] = [0, 7];
    const watch = { nowMs: () => nowMs, oomKills: () => oomKills };
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      send({ kind: "heartbeat", residentBytes: 1, peakBytes: 1 });
      send({ kind: "done", id: m.id, value: ["ok", "ok"] }); });`;
    const prover = await startWith("killed-later", source, { watch });
    oomKills++;
    for (nowMs = 1000; nowMs <= 2000; nowMs += 1000) await verify(prover);
    process.kill(prover.pid ?? 0, "SIGKILL");
    expect(await prover.exited).toMatchObject({ cause: "died" });
  });

  it("by hanging in one verification falls silent, although heartbeats go on", async () => {
    let nowMs = 0;
    const watch = { nowMs: () => nowMs, oomKills: () => 0 };
    const source = `onMessage((m) => {
        if (m.kind === "start") { ${READY} return; }
        send({ kind: "heartbeat", residentBytes: m.id, peakBytes: m.id });
        if (m.id < 3) send({ kind: "done", id: m.id, value: ["ok", "ok"] }); });`;
    const prover = await startWith("hangs-in-one", source, { watch });
    nowMs = 1000;
    const answered = [verify(prover), verify(prover)];
    nowMs = 2000;
    await Promise.all(answered);
    expect(prover.heardAtMs()).toBe(2000);
    const hung = expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
    nowMs = 3000;
    await expect.poll(() => prover.residentBytes()).toBe(3);
    expect(prover.heardAtMs()).toBe(2000);
    prover.kill();
    await hung;
  });

  it("by crashing rejects pending and later requests", async () => {
    const source = `onMessage((m) => {
      if (m.kind === "start") { ${READY} return; }
      console.error("out of \\x1b[31mluck"); process.abort(); });`;
    const prover = await startWith("crashes", source);
    const both = await Promise.allSettled([verify(prover), verify(prover)]);
    expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await prover.exited).toMatchObject({
      cause: "died",
      detail: expect.stringMatching(
        /^SIGABRT: .*, in lp_api.verify_signatures: .*out of {2}\[31mluck/,
      ) as string,
    });
    await expect(verify(prover)).rejects.toMatchObject({ kind: "died" });
  });
});
