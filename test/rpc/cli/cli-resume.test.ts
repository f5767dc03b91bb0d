/** submit and watch when the connection breaks, the service restarts, or does not come back. */
import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { submitCommand } from "../../../cli/submit.js";
import { watchCommand } from "../../../cli/watch.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import type { Terminal } from "../../../cli/io/command.js";
import { commandInProcess, fakeTerminal, freshPath } from "../../helpers/command-line.js";
import { jsonFile, submitSnapshotJson } from "../../helpers/interop-json.js";
import { startTestService } from "../../helpers/start-service.js";
import { startTcpProxy } from "../tcp-proxy.js";
import type { TcpProxy } from "../tcp-proxy.js";

const NODE = "cli-resume";
const snapshotFile = jsonFile(submitSnapshotJson(NODE));
const modules = (terminal: Terminal, interrupted = new AbortController().signal) => ({
  terminal,
  interrupted: () => interrupted,
});
const WAIT = { timeout: 20_000 };

/** Proofs end when the test says so. */
let openGate: () => void;
let service: Service;
let proxy: TcpProxy;
const addressOf = ({ addresses }: Service) => addresses[0] ?? "";
beforeEach(async () => {
  const gate = new Promise<void>((resolve) => (openGate = resolve));
  service = await startTestService(() => startFakeProver({ proveMs: () => 1, sleep: () => gate }));
  proxy = await startTcpProxy(addressOf(service));
});
afterEach(async () => {
  openGate();
  await proxy.close();
  await service.close();
});

/** Submits through the proxy; resolves once the snapshot is accepted. */
async function submit(fenceMs: number, isErrTty = false) {
  const terminal = fakeTerminal(isErrTty);
  const options = { server: proxy.address, fenceMs };
  const ended = submitCommand(snapshotFile, options, modules(terminal)).catch(
    (error: unknown) => error,
  );
  await vi.waitFor(() => expect(terminal.stdout).toContain("accepted"), WAIT);
  return { terminal, ended };
}

test("submit has every outcome once although its connection was cut", async () => {
  const { terminal, ended } = await submit(60_000);
  proxy.cut(addressOf(service));
  openGate();
  expect(await ended).toBe(0);
  expect(terminal.stderr).toContain(`connection to ${proxy.address} lost, reconnecting\n`);
  expect(terminal.stdout.match(/ proved FAKE /g)).toHaveLength(1);
});

test("an interrupted submit --out keeps a file that is there", async () => {
  const [out, abort] = [freshPath("out.jsonl"), new AbortController()];
  writeFileSync(out, "old");
  const terminal = fakeTerminal();
  const options = { server: proxy.address, fenceMs: 60_000, out };
  const ended = submitCommand(snapshotFile, options, modules(terminal, abort.signal)).catch(
    (error: unknown) => error,
  );
  await vi.waitFor(() => expect(terminal.stdout).toContain("accepted"), WAIT);
  abort.abort();
  expect(await ended).toMatchObject({ message: expect.stringMatching(/^interrupted: /) });
  expect(readFileSync(out, "utf8")).toBe("old");
});

test("submit says that the session is lost when the service has restarted", async () => {
  const other = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  const { ended } = await submit(60_000);
  proxy.cut(addressOf(other));
  expect(await ended).toMatchObject({
    exitCode: 1,
    message: expect.stringMatching(/^request \S+ at .* is lost: .*restarted; submit again$/),
  });
  await other.close();
});

test("submit gives up shortly after the fence when the service does not come back", async () => {
  const { ended } = await submit(1500);
  proxy.cut();
  expect(await ended).toMatchObject({
    exitCode: 1,
    message: expect.stringContaining("no summary arrived by its fence"),
  });
});

test("submit does not say that it proves while it has no connection", async () => {
  const { terminal, ended } = await submit(60_000, true);
  proxy.cut();
  const away = `no connection to ${proxy.address}: 0 of 1 groups ended`;
  await vi.waitFor(() => expect(terminal.stderr).toContain(away), WAIT);
  proxy.cut(addressOf(service));
  openGate();
  expect(await ended).toBe(0);
});

test("submit says how to give a proof more time where the fence came first", async () => {
  const { terminal, ended } = await submit(300);
  expect(await ended).toBe(3);
  expect(terminal.stderr).toContain("--deadline-ms 120000 --fence-ms 120000 gives it the most");
});

test("watch shows each result once although its connection was cut in between", async () => {
  openGate();
  const terminal = fakeTerminal();
  const abort = new AbortController();
  const options = { server: proxy.address, node: NODE };
  const ended = watchCommand(options, abort.signal, terminal);
  const summaries = (count: number) => () =>
    expect(terminal.stdout.match(/groups proved/g)).toHaveLength(count);
  const direct = { server: addressOf(service) };
  await submitCommand(snapshotFile, direct, modules(fakeTerminal()));
  await vi.waitFor(summaries(1), WAIT);
  proxy.cut(addressOf(service));
  await submitCommand(snapshotFile, direct, modules(fakeTerminal()));
  await vi.waitFor(summaries(2), WAIT);
  abort.abort();
  expect(await ended).toBe(0);
  expect(terminal.stdout.match(/ proved FAKE /g)).toHaveLength(2);
  expect(terminal.stderr).toBe(
    `connection to ${proxy.address} lost, reconnecting\nreconnected to ${proxy.address}\n`,
  );
});

test("watch says that the service has restarted, and shows its session of the same request id", async () => {
  openGate();
  const other = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  const terminal = fakeTerminal();
  const abort = new AbortController();
  const ended = watchCommand({ server: proxy.address, node: NODE }, abort.signal, terminal);
  const submitTo = (to: Service) => {
    const options = { server: addressOf(to), requestId: "slot-100" };
    return submitCommand(snapshotFile, options, modules(fakeTerminal()));
  };
  const summaries = (count: number) => () =>
    expect(terminal.stdout.match(/1 of 1 groups proved/g)).toHaveLength(count);
  await submitTo(service);
  await vi.waitFor(summaries(1), WAIT);
  // It has ended before watch is back, so it is among what the new run keeps.
  await submitTo(other);
  proxy.cut(addressOf(other));
  const restarted = `reconnected to ${proxy.address}, which has restarted and lost its earlier results`;
  await vi.waitFor(() => expect(terminal.stderr).toContain(restarted), WAIT);
  await vi.waitFor(summaries(2), WAIT);
  abort.abort();
  expect(await ended).toBe(0);
  expect(terminal.stdout.match(/ proved FAKE /g)).toHaveLength(2);
  await other.close();
});

test("watch says when the service stops accepting snapshots, and accepts them again", async () => {
  const terminal = fakeTerminal();
  const abort = new AbortController();
  const ended = watchCommand({ server: proxy.address, node: NODE }, abort.signal, terminal);
  await vi.waitFor(() => expect(terminal.stdout).toContain("group"), WAIT);
  const operator = ["--server", service.operatorAddress ?? ""];
  await commandInProcess(["admin", "drain", "cpu", ...operator]);
  await vi.waitFor(() => expect(terminal.stdout).toContain("accepts no snapshots"), WAIT);
  await commandInProcess(["admin", "undrain", "cpu", ...operator]);
  await vi.waitFor(() => expect(terminal.stdout).toContain("service ready, accepts"), WAIT);
  abort.abort();
  expect(await ended).toBe(0);
  expect(terminal.stdout.match(/^service .*$/gm)).toHaveLength(2);
});

test("submit with the request id of an earlier one shows how that ended", async () => {
  openGate();
  const options = { server: addressOf(service), requestId: "again" };
  const terminals = [fakeTerminal(), fakeTerminal()];
  for (const terminal of terminals) {
    expect(await submitCommand(snapshotFile, options, modules(terminal))).toBe(0);
    expect(terminal.stdout).toMatch(/^accepted: request again, /);
    expect(terminal.stdout.match(/ proved FAKE /g)).toHaveLength(1);
  }
});

test("Ctrl-C ends submit, but not the session", async () => {
  const abort = new AbortController();
  const terminal = fakeTerminal();
  const options = { server: addressOf(service), requestId: "interrupted", fenceMs: 60_000 };
  const ended = submitCommand(snapshotFile, options, modules(terminal, abort.signal));
  await vi.waitFor(() => expect(terminal.stdout).toContain("accepted"), WAIT);
  abort.abort();
  await expect(ended).rejects.toThrow(
    /^interrupted: request interrupted goes on at .*; to see how it ends, submit again with --request-id interrupted$/,
  );
  openGate();
  expect(await submitCommand(snapshotFile, options, modules(fakeTerminal()))).toBe(0);
});
