/**
 * The engine's permissions as the chart renders them, at real servers with certificates as
 * `deploy/certificates.sh` makes them: nobody speaks for another, and nobody hears what is not meant
 * for it.
 */
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../server/clock.js";
import type { Engine } from "../../server/engine/engine.js";
import { openNatsEngine } from "../../server/engine/nats-engine.js";
import { subjects } from "../../server/fleet/wire/subjects.js";
import { createLog } from "../../server/log/log.js";
import { NATS_SERVER, startNats } from "../../tools/harness/processes/nats.js";
import type { Nats } from "../../tools/harness/processes/nats.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { HELM_TIMEOUT_MS, installHelm } from "./deploy-tools.js";
import { missingTools } from "./missing-tools.js";
import { mustRender, valueSets } from "./rendered.js";

const fleet = "fleet-lean-aggregator";
const [door, otherDoor] = [`${fleet}-door-0`, `${fleet}-door-1`] as const;
const [host, otherHost] = [`${fleet}-cpu-0`, `${fleet}-cpu-1`] as const;
const of = subjects("main");
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (message: Uint8Array) => new TextDecoder().decode(message);

const folder = temporaryFolder();
const pem = (name: string) => join(folder, name);
const engines: Engine[] = [];
let nats: Nats | undefined;
let config = "";

beforeAll(async () => {
  if (missingTools !== undefined) return;
  await installHelm();
  const { file = "" } = valueSets.find(({ name }) => name === "minimal") ?? {};
  const release = await mustRender({ values: file });
  config = release.file(`${fleet}-engine`, "nats.conf");
  const include = join(folder, "permissions.conf");
  writeFileSync(include, release.file(`${fleet}-engine`, "permissions.conf"));
  const names = ["engine=localhost", door, otherDoor, host, otherHost, "somebody"];
  execFileSync("deploy/certificates.sh", [folder, ...names]);
  const tls = { ca: pem("ca.crt"), certificate: pem("engine.crt"), key: pem("engine.key") };
  nats = await startNats({ servers: 3, tls, include });
}, HELM_TIMEOUT_MS);

afterAll(async () => {
  await Promise.all(engines.map((each) => each.close()));
  await nats?.close();
});

/** A connection under the certificate of `name`, as yet perhaps down. @param server which of three */
async function open(role: "door" | "host", name: string, server = 0): Promise<Engine> {
  const tls = { ca: pem("ca.crt"), certificate: pem(`${name}.crt`), key: pem(`${name}.key`) };
  const servers = [nats?.urls[server] ?? ""];
  const engine = await openNatsEngine(
    { name, servers, inboxPrefix: of.inbox(role, name), inboxOf: of.senderInbox, tls },
    { clock: systemClock, log: createLog("silent"), random: () => 0 },
  );
  engines.push(engine);
  return engine;
}

async function connect(role: "door" | "host", name: string, server = 0): Promise<Engine> {
  const engine = await open(role, name, server);
  await new Promise<void>((resolve) => {
    const check = () => engine.status.isUp && resolve();
    engine.onStatus(check);
    check();
  });
  return engine;
}

/** Collects the texts on a subject; `has` resolves when the text has come. */
function listen(engine: Engine, subject: string) {
  const heard: string[] = [];
  let check = () => {};
  engine.subscribe(subject, (message) => {
    heard.push(`${message.subject} ${textOf(message.bytes)}`);
    message.answer?.(bytes("yes"));
    check();
  });
  const has = (text: string) =>
    new Promise<void>((resolve) => {
      check = () => heard.some((each) => each.endsWith(text)) && resolve();
      check();
    });
  return { heard, has };
}

/** Asks until somebody answers: a subscription takes a moment to be known at another server. */
async function ask(engine: Engine, subject: string): Promise<string> {
  for (;;) {
    const answer = await engine.request(subject, bytes("asked"), 1000).catch(() => undefined);
    if (answer !== undefined) return textOf(answer);
  }
}

describe.skipIf(missingTools !== undefined)(`the chart's engine${missingTools ?? ""}`, () => {
  test("is configured so that nats-server takes it", () => {
    const local = config
      .replaceAll("/etc/nats/tls/tls", pem("engine"))
      .replaceAll("/etc/nats/tls", folder)
      .replace("/run/nats", folder);
    writeFileSync(join(folder, "nats.conf"), local);
    const args = ["-c", join(folder, "nats.conf"), "-t"];
    const env = { ...process.env, POD_NAME: `${fleet}-engine-0` };
    expect(() => execFileSync(NATS_SERVER, args, { env, stdio: "pipe" })).not.toThrow();
    writeFileSync(join(folder, "nats.conf"), local.replace("verify_and_map", "verify_and_maps"));
    expect(() => execFileSync(NATS_SERVER, args, { env, stdio: "pipe" })).toThrow(
      "verify_and_maps",
    );
  });

  test("carries beats, questions and answers between doors and lane hosts at several servers", async () => {
    const [atDoor, atHost] = [await connect("door", door, 0), await connect("host", host, 1)];
    const beats = listen(atDoor, of.fromHost("*"));
    listen(atHost, of.toHost(host, "*"));
    listen(atDoor, of.toDoor(door, "*"));
    expect(await ask(atDoor, of.toHost(host, door))).toBe("yes");
    expect(await ask(atHost, of.toDoor(door, host))).toBe("yes");
    atHost.publish(of.fromHost(host), bytes("beat"));
    await beats.has("beat");
    expect(beats.heard).toEqual([`${of.fromHost(host)} beat`]);
  });

  test("lets nobody speak for another", async () => {
    const [atDoor, atHost] = [await connect("door", door), await connect("host", host)];
    const listeners = [
      listen(atDoor, of.fromHost("*")),
      listen(atDoor, of.toDoor(door, "*")),
      listen(atHost, of.toHost(host, "*")),
    ];
    const [liar, lyingDoor] = [await connect("host", otherHost), await connect("door", otherDoor)];
    liar.publish(of.fromHost(host), bytes("beat of another"));
    liar.publish(of.toDoor(door, host), bytes("result of another"));
    liar.publish(of.toHost(host, door), bytes("order of a door"));
    liar.publish(of.fromHost(otherHost), bytes("own beat"));
    liar.publish(of.toDoor(door, otherHost), bytes("own result"));
    lyingDoor.publish(of.toHost(host, door), bytes("order of another"));
    lyingDoor.publish(of.fromHost(host), bytes("beat of a host"));
    lyingDoor.publish(of.toHost(host, otherDoor), bytes("own order"));
    await listeners[0]?.has("own beat");
    await listeners[1]?.has("own result");
    await listeners[2]?.has("own order");
    expect(listeners.flatMap(({ heard }) => heard)).toEqual([
      `${of.fromHost(otherHost)} own beat`,
      `${of.toDoor(door, otherHost)} own result`,
      `${of.toHost(host, otherDoor)} own order`,
    ]);
  });

  test("lets nobody hear what is meant for another", async () => {
    const [atDoor, atHost] = [await connect("door", door), await connect("host", host)];
    const spy = await connect("host", otherHost);
    const spied = [
      listen(spy, of.toHost(host, "*")),
      listen(spy, of.toDoor(door, "*")),
      listen(spy, of.fromHost("*")),
      listen(spy, `${of.inbox("door", door)}.>`),
      listen(spy, ">"),
    ];
    const own = listen(spy, of.toHost(otherHost, "*"));
    listen(atHost, of.toHost(host, "*"));
    listen(atDoor, of.toDoor(door, "*"));
    expect(await ask(atDoor, of.toHost(host, door))).toBe("yes");
    expect(await ask(atHost, of.toDoor(door, host))).toBe("yes");
    atHost.publish(of.fromHost(host), bytes("beat"));
    expect(await ask(atDoor, of.toHost(otherHost, door))).toBe("yes");
    await own.has("asked");
    expect(spied.flatMap(({ heard }) => heard)).toEqual([]);
  });

  test("knows no certificate that is not in the fleet, and no client without one", async () => {
    const stranger = await open("host", "somebody");
    await new Promise<void>((resolve) => {
      stranger.onStatus(resolve);
    });
    expect(stranger.status.isUp).toBe(false);
    expect(stranger.status.detail).toContain("lets nobody in with this certificate");
  });
});

test("certificates are made also after a first run that was interrupted, and a failure has a reason", () => {
  const made = temporaryFolder();
  const read = (file: string) => readFileSync(join(made, file), "utf8");
  const make = (name: string) =>
    execFileSync("deploy/certificates.sh", [made, name], { encoding: "utf8", stdio: "pipe" });
  writeFileSync(join(made, "ca.key"), "");
  expect(make("node-1")).toBe(`${made}/node-1.crt\n`);
  const authority = read("ca.crt");
  const { publicKey } = new X509Certificate(authority);
  expect(new X509Certificate(read("node-1.crt")).verify(publicKey)).toBe(true);
  make("node-2");
  expect(read("ca.crt")).toBe(authority);
  expect(new X509Certificate(read("node-2.crt")).verify(publicKey)).toBe(true);
  writeFileSync(join(made, "ca.crt"), "no certificate");
  expect(() => make("node-3")).toThrow(
    /(unable|error|could not).*'openssl x509' failed, for node-3 in /is,
  );
  expect(readdirSync(made).filter((file) => /\.(csr|ext)$/.test(file))).toEqual([]);
});
