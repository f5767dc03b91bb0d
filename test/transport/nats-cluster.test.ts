/** The engine where servers are missing, die, freeze, or show other certificates. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { parseConfig } from "../../server/config/config.js";
import { exportCertificateExpiry } from "../../server/engine/certificate-expiry.js";
import { limits } from "../../server/limits.js";
import { startNats } from "../../tools/harness/processes/nats.js";
import type { Nats, NatsOptions } from "../../tools/harness/processes/nats.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";
import type { Client, ClientOptions } from "./engine-clients.js";
import { openClient, userFiles } from "./engine-clients.js";

let ends: (() => Promise<void>)[] = [];
beforeEach(() => {
  ends = [];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
});

async function serve(options: NatsOptions): Promise<Nats> {
  const nats = await startNats(options);
  ends.push(() => nats.close());
  return nats;
}

async function connect(options: ClientOptions): Promise<Client> {
  const client = await openClient(options);
  ends.push(() => client.engine.close());
  return client;
}

const none = new Uint8Array();
const isUp = (status: { isUp: boolean }) => status.isUp;
const isDown = (status: { isUp: boolean }) => !status.isUp;

/** Resolves when a request is answered: a cluster needs a moment until all know who listens. */
async function answered(client: Client, subject: string): Promise<void> {
  for (;;) {
    const isAnswered = await client.engine.request(subject, none, 1000).then(
      () => true,
      () => new Promise<false>((resolve) => setTimeout(() => resolve(false), 5)),
    );
    if (isAnswered) return;
  }
}

test("without a server the engine is down and says why, and comes up with the first one", async () => {
  const nats = await serve({});
  await nats.stop(0);
  const { engine, until, warnings } = await connect({ servers: nats.urls });
  const [url] = nats.urls;
  const why = "nothing listens there: start the server, or name another one";
  const { detail } = await until(({ detail: text }) => text.startsWith("not connected"));
  expect(detail).toBe(`not connected to ${url ?? ""}: ${why}`);
  expect(warnings).toEqual([
    { fields: { server: url, reason: why, leftOut: 0 }, text: "engine unreachable" },
  ]);
  await nats.start(0);
  expect(await until(isUp)).toEqual({ isUp: true, detail: `connected to ${url ?? ""}` });
  expect(warnings.length).toBe(1);
  expect(engine.status.isUp).toBe(true);
});

describe("a cluster of three", () => {
  test.each(["killed", "ended", "frozen"] as const)(
    "whose server is %s is used through another one, and subscriptions hold",
    async (how) => {
      const nats = await serve({ servers: 3 });
      const asker = await connect({ servers: nats.urls });
      const answerer = await connect({ servers: [...nats.urls].reverse() });
      await Promise.all([asker.until(isUp), answerer.until(isUp)]);
      answerer.engine.subscribe("ask", ({ answer }) => answer?.(none));
      asker.engine.subscribe("tell", ({ bytes }) => heard.push(...bytes));
      const heard: number[] = [];
      await answered(asker, "ask");
      const down = asker.until(isDown);
      if (how === "frozen") nats.freeze(0);
      else await (how === "killed" ? nats.kill(0) : nats.stop(0));
      await down;
      expect((await asker.until(isUp)).detail).toBe(`connected to ${nats.urls[1] ?? ""}`);
      await answered(asker, "ask");
      answerer.engine.publish("tell", new Uint8Array([1]));
      await expect.poll(() => heard, { timeout: 10_000 }).toEqual([1]);
      expect(answerer.warnings).toEqual([]);
    },
  );
});

test("no socket is left of a server that takes connections and says nothing", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  }).listen(0, "127.0.0.1");
  ends.push(async () => {
    server.close();
    await once(server, "close");
  });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { engine, until } = await connect({ servers: [`nats://127.0.0.1:${port}`] });
  await once(server, "connection");
  expect((await until(({ detail }) => detail.startsWith("not"))).detail).toContain(
    "no answer in 2 s: it is frozen, or speaks another protocol",
  );
  await once(server, "connection");
  expect(sockets.size).toBe(1);
  await engine.close();
});

test("a server that takes nothing is sent no more than the limit", async () => {
  const { urls } = await serve({});
  const [sender, hearer] = [await connect({ servers: urls }), await connect({ servers: urls })];
  await Promise.all([sender.until(isUp), hearer.until(isUp)]);
  let heard = 0;
  hearer.engine.subscribe("small", () => heard++);
  await expect(hearer.engine.request("nobody", none, 5000)).rejects.toThrow("nobody listens");
  const { enginePayloadBytesMax, engineUnsentBytesMax } = limits;
  const big = new Uint8Array(enginePayloadBytesMax);
  // The server cannot say in between that it has taken any.
  for (let sent = 0; sent <= engineUnsentBytesMax; sent += big.length) {
    sender.engine.publish("big", big);
  }
  await expect(sender.engine.request("big", none, 5000)).rejects.toThrow();
  expect(sender.warnings).toEqual([
    {
      fields: { subject: "big", bytes: engineUnsentBytesMax, leftOut: 0 },
      text: "the engine's server takes too little: messages are dropped",
    },
  ]);
  const again = () => {
    sender.engine.publish("small", none);
    return heard;
  };
  await expect.poll(again, { timeout: 20_000 }).toBeGreaterThan(0);
});

test("answers to a server that takes nothing are limited as well", async () => {
  const { urls } = await serve({});
  const [asker, answerer] = [await connect({ servers: urls }), await connect({ servers: urls })];
  await Promise.all([asker.until(isUp), answerer.until(isUp)]);
  const { enginePayloadBytesMax, engineUnsentBytesMax } = limits;
  const big = new Uint8Array(enginePayloadBytesMax);
  answerer.engine.subscribe("ask", ({ answer }) => {
    // The server cannot say in between that it has taken any.
    for (let sent = 0; sent <= engineUnsentBytesMax; sent += big.length) answer?.(big);
  });
  await answered(asker, "ask");
  expect(answerer.warnings).toEqual([
    {
      fields: {
        subject: expect.stringMatching(/^test\./),
        bytes: engineUnsentBytesMax,
        leftOut: 0,
      },
      text: "the engine's server takes too little: messages are dropped",
    },
  ]);
});

test("a listener that throws ends the process, rather than hear nothing more", async () => {
  const [url = ""] = (await serve({})).urls;
  const sender = await connect({ servers: [url] });
  await sender.until(isUp);
  const script = `
    import { systemClock as clock } from "./dist/server/clock.js";
    import { openNatsEngine } from "./dist/server/engine/nats-engine.js";
    const inboxes = { inboxPrefix: "thrower", inboxOf: () => "test" };
    const options = { servers: ["${url}"], name: "thrower", ...inboxes, tls: {} };
    const log = { info() {}, warn() {} };
    const engine = await openNatsEngine(options, { clock, log, random: () => 0 });
    engine.subscribe("ask", () => { throw new Error("a defect of the listener"); });
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script]);
  const printed = text(child.stderr);
  const ended = once(child, "exit");
  let isOver = false;
  void ended.then(() => (isOver = true));
  while (!isOver) await sender.engine.request("ask", none, 200).catch(() => sleep(5));
  expect(await ended).toEqual([1, null]);
  expect(await printed).toContain("a defect of the listener");
});

describe("certificates", () => {
  const authority = new Authority("engine");
  const server = authority.issue();
  const files = filesOf({
    ca: authority.certificate,
    certificate: server.certificate,
    key: server.key,
    otherCa: new Authority("other").certificate,
  });
  const tls = { ca: files.ca, certificate: files.certificate, key: files.key };
  const good = userFiles(authority, "door-0");
  // A server may end a connection before its reason is read: then the next try has it.
  const reason = async (options: ClientOptions) => {
    const { until } = await connect(options);
    const { detail } = await until(
      (status) =>
        status.detail.startsWith("not") && !status.detail.endsWith("ended the connection"),
    );
    return detail.replace(/^.*?\d: /, "");
  };

  test("of an authority that both ends know connect them", async () => {
    const { urls } = await serve({ tls });
    const { until } = await connect({ servers: urls, tls: good });
    expect(await until(isUp)).toMatchObject({ detail: `connected to ${urls[0] ?? ""}` });
  });

  test.each(["own", "server"] as const)(
    "of which the %s one expires first are known to end then",
    async (first) => {
      const soonMs = 1000 * Math.ceil(Date.now() / 1000 + 3600);
      const at = (name: string) => (name === first ? { notAfterMs: soonMs } : {});
      const shown = authority.issue(at("server"));
      const { certificate, key } = filesOf({ certificate: shown.certificate, key: shown.key });
      const { urls } = await serve({ tls: { ca: files.ca, certificate, key } });
      const own = userFiles(authority, "door-0", at("own"));
      const { engine, until } = await connect({ servers: urls, tls: own });
      const gauge = { set: vi.fn() };
      const engineFiles = {
        engineCa: own.ca,
        engineCertificate: own.certificate,
        engineKey: own.key,
      };
      const settings = parseConfig({ engine: urls.join(), ...engineFiles });
      const end = exportCertificateExpiry(settings, engine, gauge);
      await until(isUp);
      end();
      expect(gauge.set.mock.lastCall).toEqual([{ certificate: "engine" }, soonMs / 1000]);
    },
  );

  test("that are missing, expired, or of another authority get reasons of their own", async () => {
    const { urls } = await serve({ tls });
    const expired = userFiles(authority, "door-0", { notAfterMs: Date.now() - 1000 });
    const stranger = userFiles(new Authority("other"), "door-0");
    expect(await reason({ servers: urls, tls: { ca: good.ca } })).toBe(
      "the server wants a certificate: name one",
    );
    expect(await reason({ servers: urls, tls: expired })).toBe(
      "the certificate has expired: renew it",
    );
    expect(await reason({ servers: urls, tls: { ...stranger, ca: files.ca } })).toBe(
      "the server does not know who signed the certificate",
    );
    expect(await reason({ servers: urls, tls: { ...good, ca: files.otherCa } })).toBe(
      "no authority in the CA file signed the server's certificate",
    );
    const [byName = ""] = urls;
    expect(await reason({ servers: [byName.replace("tls:", "nats:")], tls: {} })).toBe(
      "the server wants TLS: name it with tls://",
    );
  });

  test("that the server shows for another name, or does not show, are refused", async () => {
    const other = authority.issue({ dnsNames: ["elsewhere"], ips: [] });
    const shown = filesOf({ certificate: other.certificate, key: other.key });
    const { urls } = await serve({ tls: { ca: files.ca, ...shown } });
    expect(await reason({ servers: urls, tls: good })).toBe(
      "the server's certificate is for another host name",
    );
    const plain = await serve({});
    const [url = ""] = plain.urls;
    expect(await reason({ servers: [url.replace("nats:", "tls:")], tls: good })).toBe(
      "the server speaks plain text: turn on its TLS, or name it with nats://",
    );
  });

  test("that are half written when the server resets a connection end nothing", async () => {
    const resetting = createServer((socket) => socket.resetAndDestroy()).listen(0, "127.0.0.1");
    ends.push(async () => {
      resetting.close();
      await once(resetting, "close");
    });
    await once(resetting, "listening");
    const { port } = resetting.address() as AddressInfo;
    const half = filesOf({ certificate: "-----BEGIN CERTIFICATE-----\nMIIB", key: server.key });
    const { until } = await connect({ servers: [`tls://127.0.0.1:${port}`], tls: half });
    const { detail } = await until((status) => status.detail.startsWith("not"));
    expect(detail).toMatch(/: the server ended the connection$/);
    // It goes on.
    await once(resetting, "connection");
  });

  test("that are renewed are used for the next connection", async () => {
    const { urls } = await serve({ tls });
    const own = userFiles(authority, "door-0", { notAfterMs: Date.now() - 1000 });
    const { until } = await connect({ servers: urls, tls: own });
    await until(({ detail }) => detail.includes("expired"));
    const renewed = authority.issue({ dnsNames: ["door-0"] });
    writeFileSync(own.certificate, renewed.certificate);
    writeFileSync(own.key, renewed.key);
    expect(await until(isUp)).toMatchObject({ isUp: true });
  });
});
