/** What counts as a new certificate: one that becomes valid with time, and not the one in use, read again. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { Clock } from "../../../server/clock.js";
import { createTransportMetrics } from "../../../server/net/metrics.js";
import { TlsSource } from "../../../server/net/tls-source.js";
import { Authority } from "../../../tools/harness/processes/authority.js";
import { metricValue } from "../../helpers/metric-value.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const HOUR_MS = 3_600_000;

const authority = new Authority("fleet");
const notBeforeMs = Date.now() + HOUR_MS;
const [first, early] = [authority.issue(), authority.issue({ notBeforeMs })];

/** A source of `first`, with its files and the clock by which it polls. */
async function open(clientCa?: string) {
  const folder = temporaryFolder();
  const tlsClientCa = clientCa === undefined ? undefined : join(folder, "ca.crt");
  if (tlsClientCa !== undefined) writeFileSync(tlsClientCa, clientCa ?? "");
  const settings = {
    tlsCertificate: join(folder, "tls.crt"),
    tlsKey: join(folder, "tls.key"),
    tlsClientCa,
  };
  const write = ({ certificate, key }: typeof first) => {
    writeFileSync(settings.tlsCertificate, certificate);
    writeFileSync(settings.tlsKey, key);
  };
  const time = { unixMs: Date.now() };
  let tick = () => {};
  const clock: Clock = {
    nowMs: () => 0,
    unixMs: () => time.unixMs,
    at: (_, callback) => {
      tick = callback;
      return () => {};
    },
  };
  const poll = async () => {
    tick();
    for (let turn = 0; turn < 10; turn++) await setImmediate();
  };
  const [errors, infos]: [unknown[], unknown[]] = [[], []];
  const quiet = () => undefined;
  const error = (line: unknown) => void errors.push(line);
  const info = (line: unknown) => void infos.push(line);
  const log = { debug: quiet, info, warn: quiet, error };
  const registry = new Registry();
  const transport = createTransportMetrics(registry);
  write(first);
  const source = await TlsSource.open(settings, { clock, log, transport });
  const served: string[] = [];
  source.onRenewal(({ cert }) => void served.push(cert.toString()));
  const reloads = (result: string) =>
    metricValue(registry, "lean_aggregator_server_certificate_reloads_total", { result });
  const expiry = (certificate: string) =>
    metricValue(registry, "lean_aggregator_server_certificate_expiry_timestamp_seconds", {
      certificate,
    });
  return { source, write, poll, time, served, errors, infos, reloads, expiry };
}

test("a certificate that is not valid yet is rejected once, and used once it is valid", async () => {
  const { source, write, poll, time, served, errors, reloads } = await open();
  write(early);
  for (let polls = 0; polls < 5; polls++) await poll();
  expect(served).toEqual([]);
  expect(JSON.stringify(errors)).toMatch(/is not valid before/);
  expect(errors).toHaveLength(1);

  time.unixMs = notBeforeMs + 1000;
  for (let polls = 0; polls < 3; polls++) await poll();
  expect(served).toEqual([early.certificate]);
  expect([await reloads("failure"), await reloads("success")]).toEqual([1, 1]);
  source.close();
});

test("the certificate in use is no new one: not when it is read again, and not when it comes back", async () => {
  const { source, write, poll, served, errors, infos, reloads } = await open();
  for (let signals = 0; signals < 3; signals++) expect(await source.reload()).toBe(true);
  expect([served, infos, await reloads("success")]).toEqual([[], [], 0]);
  write({ ...first, certificate: "soon" });
  expect(await source.reload()).toBe(false);
  write(first);
  for (let polls = 0; polls < 3; polls++) await poll();
  expect(await source.reload()).toBe(true);
  expect([served, infos, errors.length]).toEqual([[], [], 1]);
  expect([await reloads("failure"), await reloads("success")]).toEqual([1, 0]);
  const second = authority.issue();
  write(second);
  expect(await source.reload()).toBe(true);
  expect(await source.reload()).toBe(true);
  expect(served).toEqual([second.certificate]);
  expect([infos.length, await reloads("success")]).toEqual([1, 1]);
  source.close();
});

test("of several authorities the next one counts once the first has expired", async () => {
  const soonMs = Date.now() + HOUR_MS;
  const soon = new Authority("soon", { notAfterMs: soonMs });
  const { source, poll, time, expiry } = await open(`${soon.certificate}${authority.certificate}`);
  expect(await expiry("client_ca")).toBe(Math.floor(soonMs / 1000));
  time.unixMs = soonMs + 1000;
  await poll();
  expect(await expiry("client_ca")).toBeGreaterThan(time.unixMs / 1000);
  source.close();
});
