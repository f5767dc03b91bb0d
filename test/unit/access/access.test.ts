/** The policy in force: denials are counted, streams end with their permission, files change. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { Access } from "../../../server/access/access.js";
import type { Credential } from "../../../server/access/policy.js";
import { loadPolicy, PolicyWatch } from "../../../server/access/policy-watch.js";
import { tokenHash } from "../../../server/access/token.js";
import type { Clock } from "../../../server/clock.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { freshPath } from "../../helpers/command-line.js";

const TOKEN_END = Date.parse("2026-06-01T00:00:00Z");
const loopback: Credential = { kind: "loopback" };
const token: Credential = { kind: "token", sha256: tokenHash("lagg_a") };
const ask = { call: "StreamResults", nodeId: "node-1" };
const principal = (calls: string[], streams = 2) => ({
  name: "node-1",
  anonymous: true,
  tokens: [{ sha256: tokenHash("lagg_a").toString("hex"), expires: "2026-06-01T00:00:00Z" }],
  nodes: ["*"],
  calls,
  quota: { streams },
});
const textOf = (...principals: object[]) => JSON.stringify({ principals });
const GOOD = textOf(principal(["StreamResults"]));

function accessOf(path: string) {
  const source = loadPolicy(path);
  const lines: { level: string; text: unknown }[] = [];
  const logTo = (level: string) => (fields: object, text?: string) =>
    void lines.push({ level, text: `${text ?? ""} ${JSON.stringify(fields)}` });
  const log = {
    debug: logTo("debug"),
    info: logTo("info"),
    warn: logTo("warn"),
    error: logTo("error"),
  };
  const metrics = createMetrics();
  let tick = () => {};
  const time = { nowMs: 0, unixMs: TOKEN_END - 1 };
  const clock: Clock = {
    nowMs: () => time.nowMs,
    unixMs: () => time.unixMs,
    at: (_, callback) => {
      tick = callback;
      return () => (tick = () => {});
    },
  };
  const access = new Access(source.policy, { clock, log, metrics });
  const watch = new PolicyWatch(source, { clock, log, metrics, access });
  const isLastGood = async () => (await metrics.policyReloadSuccessful.get()).values[0]?.value;
  const denied = (reason: string) => valueOf(metrics.denied, reason);
  /** One poll, to its end. */
  const look = () => {
    tick();
    return setImmediate();
  };
  return { access, watch, lines, time, metrics, isLastGood, denied, look };
}

async function valueOf(
  metric: { get(): Promise<{ values: { labels: object; value: number }[] }> },
  label: string,
) {
  const { values } = await metric.get();
  return values.find(({ labels }) => Object.values(labels).includes(label))?.value;
}

function fileOf(text: string): string {
  const path = freshPath("policy.json");
  writeFileSync(path, text);
  return path;
}

test("denied calls are counted by reason, and logged at intervals", async () => {
  const { access, lines, time, denied } = accessOf(fileOf(GOOD));
  const call = () => access.check(loopback, { call: "CancelSession" });
  for (let times = 0; times < 3; times++) {
    expect(call).toThrow(expect.objectContaining({ kind: "permission_denied" }));
  }
  expect(await denied("call")).toBe(3);
  expect(await denied("unknown_token")).toBe(0);
  expect(lines).toHaveLength(1);
  time.nowMs += 10_000;
  expect(call).toThrow();
  expect(lines[1]?.text).toMatch(/^call denied .*"unlogged":2/);
  expect(() => access.check({ kind: "nothing" }, {})).toThrow(
    expect.objectContaining({ kind: "unauthenticated" }),
  );
});

test("streams over their principal's quota are refused until one closes", () => {
  const { access } = accessOf(fileOf(GOOD));
  const first = access.openStream(loopback, ask);
  access.openStream(token, ask);
  const third = () => access.openStream(loopback, ask);
  expect(third).toThrow("quota streams of principal node-1 is 2, and 2 are open");
  first.close();
  first.close();
  third();
  expect(third).toThrow(expect.objectContaining({ kind: "resource_exhausted" }));
});

test("calls over their principal's quota are refused until the bucket fills again", async () => {
  const quota = { callsPerMinute: 60 };
  const path = fileOf(textOf({ ...principal(["StreamResults"]), quota }));
  const { access, time, look, metrics } = accessOf(path);
  const call = () => access.begin(loopback, { call: "StreamResults" });
  for (let calls = 0; calls < 60; calls++) call();
  time.nowMs += 250;
  expect(call).toThrow(
    expect.objectContaining({
      kind: "resource_exhausted",
      message: "quota callsPerMinute of principal node-1 is 60, and the next is free in 750 ms",
    }),
  );
  // A refused call takes nothing from the bucket, which never holds more than one minute.
  time.nowMs += 750;
  call();
  expect(call).toThrow("the next is free in 1000 ms");
  time.nowMs += 3_600_000;
  for (let calls = 0; calls < 60; calls++) call();
  expect(call).toThrow(expect.objectContaining({ kind: "resource_exhausted" }));
  expect(await valueOf(metrics.overQuota, "callsPerMinute")).toBe(3);
  expect(await valueOf(metrics.overQuota, "streams")).toBe(0);
  // A caller that is not allowed this call is denied, whatever is left.
  expect(() => access.begin(loopback, { call: "GetSession" })).toThrow(
    expect.objectContaining({ kind: "permission_denied" }),
  );
  // A reload of the policy fills no bucket.
  writeFileSync(path, textOf({ ...principal(["StreamResults", "GetSession"]), quota }));
  await look();
  expect(call).toThrow(expect.objectContaining({ kind: "resource_exhausted" }));
  writeFileSync(path, GOOD);
  await look();
  for (let calls = 0; calls < 100; calls++) call();
});

test("a policy that changes ends the streams that it no longer allows, and no others", async () => {
  const path = fileOf(GOOD);
  const { access, look, isLastGood } = accessOf(path);
  const stream = access.openStream(loopback, ask);
  writeFileSync(path, textOf(principal(["StreamResults", "GetSession"])));
  await look();
  expect(stream.signal.aborted).toBe(false);
  access.check(loopback, { call: "GetSession" });
  writeFileSync(path, textOf(principal(["GetSession"])));
  await look();
  expect(stream.signal.reason).toMatchObject({
    kind: "permission_denied",
    message: "principal node-1 may not call StreamResults",
  });
  expect(await isLastGood()).toBe(1);
});

test("a stream ends with its token", async () => {
  const { access, time, look, denied } = accessOf(fileOf(GOOD));
  const stream = access.openStream(token, ask);
  await look();
  expect(stream.signal.aborted).toBe(false);
  time.unixMs = TOKEN_END;
  // Its caller takes no answer, so it is still open at the next reviews.
  for (let reviews = 0; reviews < 3; reviews++) await look();
  expect(stream.signal.reason).toMatchObject({ kind: "unauthenticated" });
  expect(await denied("expired_token")).toBe(1);
});

test("a file that cannot be used leaves the old policy in force, and is logged once", async () => {
  const path = fileOf(GOOD);
  const { access, lines, look, isLastGood } = accessOf(path);
  const wrongs = [
    () => writeFileSync(path, "{"),
    () => writeFileSync(path, "[]"),
    () => rmSync(path),
  ];
  for (const [at, wrong] of wrongs.entries()) {
    wrong();
    await look();
    await look();
    expect(await isLastGood()).toBe(0);
    expect(lines.filter(({ level }) => level === "error")).toHaveLength(at + 1);
    access.check(loopback, ask);
  }
  writeFileSync(path, GOOD);
  await look();
  expect(await isLastGood()).toBe(1);
  expect(lines.at(-1)?.text).toMatch(/^policy replaced/);
});

test("a replaced link is a change, as Kubernetes makes it", async () => {
  const folder = dirname(freshPath("mount"));
  for (const [version, calls] of [
    ["v1", ["StreamResults"]],
    ["v2", ["GetSession"]],
  ] as const) {
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, "policy.json"), textOf(principal([...calls])));
  }
  symlinkSync("v1", join(folder, "..data"));
  symlinkSync("..data/policy.json", join(folder, "policy.json"));
  const { access, look, watch } = accessOf(join(folder, "policy.json"));
  access.check(loopback, ask);
  symlinkSync("v2", join(folder, "..new"));
  renameSync(join(folder, "..new"), join(folder, "..data"));
  await look();
  expect(() => access.check(loopback, ask)).toThrow();
  watch.close();
  await look();
});
