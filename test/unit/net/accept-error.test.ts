/** A listening socket that cannot accept, as without a free descriptor: the listener goes on. */
import type { Server } from "node:net";
import { Registry } from "prom-client";
import { expect, test, vi } from "vitest";
import type { Logger } from "../../../server/log/log.js";
import { Listener } from "../../../server/net/listener.js";
import { createTransportMetrics } from "../../../server/net/metrics.js";
import { HeldClock } from "../../../tools/harness/wire/bare-server.js";
import { metricValue } from "../../helpers/metric-value.js";

const servers: Server[] = [];
vi.mock("../../../server/net/bind.js", () => ({
  bind: (_address: string, make: () => Server) => {
    servers.push(make());
    return Promise.resolve({ servers, port: undefined });
  },
}));

test("an error of accept is counted and logged once a second, and ends nothing", async () => {
  const registry = new Registry();
  const warnings: unknown[] = [];
  const quiet = () => undefined;
  const warn = (line: unknown) => void warnings.push(line);
  const log: Logger = { debug: quiet, info: quiet, warn, error: quiet };
  const clock = new HeldClock();
  const listener = new Listener(
    { name: "nodes", connectionsMax: 2, protocols: [], socket: { mode: 0o600 }, tls: undefined },
    { clock, log, transport: createTransportMetrics(registry) },
  );
  await listener.listen("127.0.0.1:0", quiet);
  const fail = () => servers[0]?.emit("error", new Error("accept EMFILE"));
  fail();
  fail();
  clock.skip(1001);
  fail();
  const warned = { listener: "127.0.0.1:0", reason: "accept EMFILE" };
  expect(warnings).toEqual([warned, warned]);
  const name = "lean_aggregator_server_connections_cut_total";
  expect(await metricValue(registry, name, { listener: "nodes", cause: "accept" })).toBe(3);
});
