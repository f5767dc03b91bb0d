/** Certificate files that change while the service runs. */
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { afterEach, describe, expect, test } from "vitest";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import {
  GetSessionResponseSchema,
  StreamResultsResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Logger } from "../../server/log/log.js";
import type { TlsSettings } from "../../server/net/tls-files.js";
import { HeldClock, startBareServer } from "../../tools/harness/wire/bare-server.js";
import type { BareServer } from "../../tools/harness/wire/bare-server.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";
import type { Identity } from "../../tools/harness/processes/authority.js";
import { metricValue } from "../helpers/metric-value.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const LOOK_EVERY_MS = 5000;
const DAY_MS = 86_400_000;

const authority = new Authority("fleet");
const first = authority.issue({ commonName: "first" });
const secondExpiresMs = Math.floor((Date.now() + 9 * DAY_MS) / 1000) * 1000;
const second = authority.issue({ commonName: "second", notAfterMs: secondExpiresMs });
const expired = authority.issue({
  notBeforeMs: Date.now() - 2 * DAY_MS,
  notAfterMs: Date.now() - DAY_MS,
});

/** A folder as Kubernetes mounts it: the files are links through one link, which is swapped. */
class MountedSecret {
  private readonly folder = temporaryFolder();
  private versions = 0;
  readonly certificate = join(this.folder, "tls.crt");
  readonly key = join(this.folder, "tls.key");
  readonly settings: TlsSettings = { tlsCertificate: this.certificate, tlsKey: this.key };

  constructor(identity: Identity) {
    this.swap(identity);
    for (const name of ["tls.crt", "tls.key"]) {
      symlinkSync(join("..data", name), join(this.folder, name));
    }
  }

  swap({ certificate, key }: Identity): void {
    const version = `..version-${this.versions++}`;
    mkdirSync(join(this.folder, version));
    writeFileSync(join(this.folder, version, "tls.crt"), certificate);
    writeFileSync(join(this.folder, version, "tls.key"), key);
    symlinkSync(version, join(this.folder, "..data_tmp"));
    renameSync(join(this.folder, "..data_tmp"), join(this.folder, "..data"));
  }
}

let clock: HeldClock;
let bare: BareServer;
let errors: unknown[];
/** Ends the wait of a stream that has given its first event. */
let release: () => void;

/** The two events of the stream. */
const [before, after] = [1, 2].map((bytes) => ({
  event: { case: "sending", value: { $typeName: "lean.aggregator.v1.Sending", bytes } } as const,
}));

async function serve(tls: TlsSettings): Promise<void> {
  clock = new HeldClock();
  errors = [];
  const released = new Promise<void>((resolve) => (release = resolve));
  const quiet = () => undefined;
  const log: Logger = {
    debug: quiet,
    info: quiet,
    warn: quiet,
    error: (line: unknown) => void errors.push(line),
  };
  const streamResults = async function* () {
    yield create(StreamResultsResponseSchema, before);
    await released;
    yield create(StreamResultsResponseSchema, after);
  };
  const getSession = () => Promise.resolve(create(GetSessionResponseSchema));
  bare = await startBareServer({ clock, tls, log, calls: { streamResults, getSession } });
}

afterEach(async () => {
  const closed = bare.close();
  clock.fireAll();
  await closed;
});

/** Time passes until the service has looked twice: it takes what it finds two times in a row. */
async function twoLooks(): Promise<void> {
  for (let looks = 0; looks < 2; looks++) {
    const timers = clock.pending;
    clock.skip(LOOK_EVERY_MS);
    await expect.poll(() => clock.pending, { interval: 1 }).toBe(timers);
  }
}

/** The subject of the certificate that a new connection is shown. */
function shownAt(address: string): Promise<string | undefined> {
  const [host = "", port] = address.split(":");
  return new Promise((resolve, reject) => {
    const options = { ca: authority.certificate, servername: "localhost", ALPNProtocols: ["h2"] };
    const socket = connectTls({ host, port: Number(port), ...options }, () => {
      resolve(socket.getPeerX509Certificate()?.subject);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

const measured = (name: string, labels: Record<string, string>) =>
  metricValue(bare.metrics.registry, `lean_aggregator_server_certificate_${name}`, labels);
const reloads = async () => ({
  success: await measured("reloads_total", { result: "success" }),
  failure: await measured("reloads_total", { result: "failure" }),
});

describe("a renewed certificate", () => {
  test("is shown to new connections of both bare, and a stream from before goes on", async () => {
    const secret = new MountedSecret(first);
    await serve(secret.settings);
    const { ca } = filesOf({ ca: authority.certificate });
    const client = new AggregatorClient({ address: bare.address, tls: { ca } });
    const stream = client.streamResults({});
    expect(await stream.next()).toMatchObject({ value: before });

    secret.swap(second);
    await twoLooks();
    expect(await shownAt(bare.address)).toBe("CN=second");
    release();
    expect(await stream.next()).toMatchObject({ value: after });
    expect(await reloads()).toEqual({ success: 1, failure: 0 });
    const expiry = await measured("expiry_timestamp_seconds", { certificate: "server" });
    expect(expiry).toBe(secondExpiresMs / 1000);
    client.close();
  });

  test.each([
    ["has expired", expired, /tlsCertificate .*tls\.crt expired at .*: renew it/],
    ["has another's key", { ...second, key: first.key }, /tlsKey .*is not the key of the/],
    ["is no certificate", { ...second, certificate: "soon" }, /tlsCertificate .*in PEM/],
  ])("that %s is reported, and the current one stays", async (_what, bad, reported) => {
    const secret = new MountedSecret(first);
    await serve(secret.settings);
    secret.swap(bad);
    await twoLooks();
    await twoLooks();
    expect(await shownAt(bare.address)).toBe("CN=first");
    expect(await reloads()).toEqual({ success: 0, failure: 1 });
    expect(JSON.stringify(errors)).toMatch(reported);

    secret.swap(second);
    await twoLooks();
    expect(await shownAt(bare.address)).toBe("CN=second");
    expect(await reloads()).toEqual({ success: 1, failure: 1 });
  });

  test("that is written file by file is taken once it is whole", async () => {
    const secret = new MountedSecret(first);
    await serve(secret.settings);
    writeFileSync(secret.certificate, second.certificate);
    const timers = clock.pending;
    clock.skip(LOOK_EVERY_MS);
    await expect.poll(() => clock.pending, { interval: 1 }).toBe(timers);
    writeFileSync(secret.key, second.key);
    await twoLooks();
    expect(await shownAt(bare.address)).toBe("CN=second");
    expect(await reloads()).toEqual({ success: 1, failure: 0 });
  });
});

test("a client authority that is replaced lets its own in, and the old one's out", async () => {
  const successor = new Authority("successor");
  const files = filesOf({ ca: authority.certificate, crt: first.certificate, key: first.key });
  await serve({ tlsCertificate: files.crt, tlsKey: files.key, tlsClientCa: files.ca });
  const call = async (identity: Identity) => {
    const own = filesOf({
      ca: authority.certificate,
      crt: identity.certificate,
      key: identity.key,
    });
    const tls = { ca: own.ca, certificate: own.crt, key: own.key };
    const client = new AggregatorClient({ address: bare.address, tls });
    const isServed = await client.getSession({}, { timeoutMs: 5000 }).then(
      () => true,
      () => false,
    );
    client.close();
    return isServed;
  };
  const [old, young] = [authority.issue(), successor.issue()];
  expect([await call(old), await call(young)]).toEqual([true, false]);
  writeFileSync(files.ca, successor.certificate);
  await twoLooks();
  expect([await call(old), await call(young)]).toEqual([false, true]);
});

test("a client takes its own renewed certificate for its next connection", async () => {
  const files = filesOf({ ca: authority.certificate, crt: first.certificate, key: first.key });
  await serve({ tlsCertificate: files.crt, tlsKey: files.key, tlsClientCa: files.ca });
  const secret = new MountedSecret(expired);
  const tls = { ca: files.ca, certificate: secret.certificate, key: secret.key };
  const client = new AggregatorClient({ address: bare.address, tls });
  const isServed = () =>
    client.getSession({}, { timeoutMs: 1000 }).then(
      () => true,
      () => false,
    );
  expect(await isServed()).toBe(false);
  secret.swap(authority.issue());
  await expect.poll(isServed, { timeout: 20_000, interval: 200 }).toBe(true);
  client.close();
});
