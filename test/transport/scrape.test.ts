/** The page /metrics as scrapers ask for it: formats, encodings, and while others hold the listener. */
import { once } from "node:events";
import { gunzipSync } from "node:zlib";
import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import type * as Limits from "../../server/limits.js";
import { limits } from "../../server/limits.js";
import type { Service } from "../../server/service.js";
import { Gate } from "../../tools/harness/wire/contract.js";
import { metricValue } from "../helpers/metric-value.js";
import { listenTestService, startTestService } from "../helpers/start-service.js";

vi.mock("../../server/limits.js", async (original) => {
  const real = await original<typeof Limits>();
  return { ...real, limits: { ...real.limits, pageTakeMsMax: 1500 } };
});

const TEXT = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/** What Prometheus 2.42 sends. */
const PROMETHEUS = {
  accept:
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
  "accept-encoding": "gzip",
};

let service: Service;
const open: { destroy(): unknown }[] = [];
beforeAll(async () => {
  service = await startTestService(new Gate().startProver);
});
afterEach(() => {
  for (const each of open.splice(0)) each.destroy();
});
afterAll(() => service.close());

interface Answer {
  status: number | undefined;
  headers: Record<string, unknown>;
  body: Buffer;
}

/** Unlike fetch: does not decode, and keeps no connection. */
function get(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const url = `http://${service.probesAddress}${path}`;
    const request = httpRequest(url, { headers, method, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const { statusCode: status } = response;
        resolve({ status, headers: response.headers, body: Buffer.concat(chunks) });
      });
    });
    request.on("error", reject).end();
  });
}

describe("what a scraper accepts", () => {
  test.each([
    { accept: undefined, type: TEXT },
    { accept: "*/*", type: TEXT },
    { accept: "text/html", type: TEXT },
    { accept: "text/plain;version=0.0.4", type: TEXT },
    { accept: "application/openmetrics-text;q=0", type: TEXT },
    { accept: "application/openmetrics-text", type: OPENMETRICS },
    { accept: "Application/OpenMetrics-Text; version=1.0.0", type: OPENMETRICS },
    { accept: PROMETHEUS.accept, type: OPENMETRICS },
  ])("Accept: $accept gets $type", async ({ accept, type }) => {
    const { headers, body } = await get("/metrics", accept === undefined ? {} : { accept });
    expect(headers).toMatchObject({ "content-type": type, vary: "Accept, Accept-Encoding" });
    expect(Number(headers["content-length"])).toBe(body.length);
    expect(body.toString().endsWith("# EOF\n")).toBe(type === OPENMETRICS);
  });

  test("OpenMetrics declares a counter without _total and has no empty line", async () => {
    const { body } = await get("/metrics", { accept: "application/openmetrics-text" });
    const text = body.toString();
    expect(text).toContain("# TYPE lean_aggregator_server_skipped counter\n");
    expect(text).toContain('lean_aggregator_server_skipped_total{reason="in_flight"} 0\n');
    expect(text).not.toContain("\n\n");
  });

  test("text asked for beside OpenMetrics has its own names", async () => {
    const accepts = ["application/openmetrics-text", "text/plain"];
    const asked = Array.from({ length: 20 }, (_, at) => accepts[at % 2] ?? "");
    const answers = await Promise.all(asked.map((accept) => get("/metrics", { accept })));
    answers.forEach(({ body }, at) => {
      const declared = at % 2 === 0 ? "skipped" : "skipped_total";
      expect(body.toString()).toContain(`# TYPE lean_aggregator_server_${declared} counter\n`);
    });
  });

  test("gzip is used only when it is accepted", async () => {
    const zipped = await get("/metrics", PROMETHEUS);
    expect(zipped.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(zipped.body).toString()).toContain("lean_aggregator_server_ready 1\n");
    for (const encodings of ["identity", "br", "gzip;q=0"]) {
      const plain = await get("/metrics", { "accept-encoding": encodings });
      expect(plain.headers["content-encoding"], encodings).toBeUndefined();
    }
  });

  test.each(["/metrics", "/livez", "/readyz"])("HEAD of %s has no body", async (path) => {
    const { status, headers, body } = await get(path, {}, "HEAD");
    expect([status, body.length]).toEqual([200, 0]);
    expect(Number(headers["content-length"])).toBeGreaterThan(0);
  });
});

describe("whatever the service does", () => {
  test("a starting service answers, and says that it is not ready", async () => {
    const neverReady = () =>
      Object.assign(new Gate().startProver(), { ready: new Promise<never>(() => undefined) });
    const starting = await listenTestService(neverReady);
    const text = await (await fetch(`http://${starting.probesAddress}/metrics`)).text();
    expect(text).toContain("lean_aggregator_server_ready 0\n");
    expect(text).toContain("lean_aggregator_server_draining 0\n");
    await starting.close();
  });
});

describe("callers that hold connections of the probes' listener", () => {
  const address = () => String(service.probesAddress);
  const port = () => Number(address().split(":")[1]);

  /** Asks for the page and has no window to receive it. */
  async function withoutWindow(): Promise<void> {
    const session = connectHttp2(`http://${address()}`, { settings: { initialWindowSize: 0 } });
    open.push(session);
    session.on("error", () => undefined);
    const stream = session.request({ ":path": "/metrics" });
    stream.on("error", () => undefined);
    await once(stream, "response");
  }
  function asking(bytes: string): Socket {
    const socket = connectTcp({ host: "127.0.0.1", port: port() });
    open.push(socket);
    socket.on("error", () => undefined).write(bytes);
    return socket;
  }
  const connections = () =>
    metricValue(service.metrics.registry, "lean_aggregator_server_connections", {
      listener: "probes",
    });

  test.each([
    { who: "that do not read", hold: withoutWindow },
    { who: "that never end their request", hold: () => void asking("GET /metrics HTTP/1.1\r\n") },
    { who: "that send nothing", hold: () => void asking("") },
    {
      who: "that ask again and again without reading",
      hold: () => void asking("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(500)).pause(),
    },
  ])("a scrape is answered beside callers $who", async ({ hold }) => {
    for (let at = 0; at < limits.probeConnectionsMax; at++) await hold();
    await expect.poll(connections).toBeGreaterThan(3);
    for (let scrape = 0; scrape < 3; scrape++) {
      expect((await get("/metrics")).status).toBe(200);
      expect((await get("/livez")).status).toBe(200);
    }
  });

  test("an answer that is not read in time is cut", async () => {
    const session = connectHttp2(`http://${address()}`, { settings: { initialWindowSize: 0 } });
    open.push(session);
    session.on("error", () => undefined);
    const stream = session.request({ ":path": "/metrics" });
    let bytes = 0;
    stream.on("data", (chunk: Buffer) => (bytes += chunk.length)).on("error", () => undefined);
    await new Promise((resolve) => stream.once("close", resolve));
    expect(bytes).toBe(0);
  });
});
