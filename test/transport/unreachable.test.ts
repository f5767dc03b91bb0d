/** What the command line says when no call reaches a service: the exact text for each cause. */
import { once } from "node:events";
import { chmodSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server } from "node:net";
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import type { Service } from "../../server/service.js";
import { commandInProcess, freshPath } from "../helpers/command-line.js";
import { startTestService } from "../helpers/start-service.js";
import { Authority } from "../../tools/harness/processes/authority.js";
import { filesOf } from "./certificates.js";
import { files, mutualTlsSettings } from "./mutual-tls.js";

const DAY_MS = 86_400_000;
const strangers = new Authority("strangers");
const stranger = strangers.issue({ commonName: "node-2" });
const other = filesOf({
  ca: strangers.certificate,
  certificate: stranger.certificate,
  key: stranger.key,
});
const startProver = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });

const services: Record<string, Service> = {};
const servers: Server[] = [];

async function portOf(server: Server): Promise<string> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  const { tlsCertificate, tlsKey } = mutualTlsSettings;
  services["plain"] = await startTestService(startProver);
  services["tls"] = await startTestService(startProver, { tlsCertificate, tlsKey });
  services["mutual"] = await startTestService(startProver, mutualTlsSettings);
});
afterAll(async () => {
  for (const service of Object.values(services)) await service.close();
  for (const server of servers) server.close();
});

const at = (name: string) => services[name]?.addresses[0] ?? "";

/** What `health` says, with `AT` for the address. */
async function said(server: string, ...flags: string[]): Promise<string> {
  const { code, stderr } = await commandInProcess(["health", "--server", server, ...flags]);
  expect(code).toBe(1);
  return stderr
    .replace("lean-aggregator: cannot reach the service at ", "")
    .replaceAll(server, "AT")
    .trim();
}

test("TLS on one side alone, certificates that do not fit, and what to do", async () => {
  const own = ["--tls-certificate", files.node, "--tls-key", files.nodeKey];
  const ca = ["--tls-ca", files.ca];
  const plainWords =
    "AT: it wants TLS; name its certificate authority with --tls-ca, " +
    "or write https:// before the address";
  expect(await said(at("tls"))).toBe(plainWords);
  expect(await said(at("mutual"))).toBe(plainWords);
  expect(await said(at("plain"), ...ca)).toBe(
    "AT: it speaks plain text, not TLS; leave out the --tls flags and https://, " +
      "or give serve a certificate",
  );
  expect(await said(`https://${at("tls")}`)).toBe(
    "AT: its certificate is of an authority that Node.js does not trust; " +
      "name the authority's certificate with --tls-ca",
  );
  expect(await said(at("tls"), "--tls-ca", other.ca)).toBe(
    `AT: its certificate is of an authority that is not in ${other.ca}; ` +
      "name the authority's certificate with --tls-ca",
  );
  expect(await said(at("tls"), ...ca, "--tls-server-name", "node.example")).toBe(
    "AT: its certificate is not for node.example but for DNS:localhost, IP Address:127.0.0.1; " +
      "use one of these names, also as --tls-server-name",
  );
  expect(await said(at("mutual"), ...ca)).toBe(
    "AT: it wants a client certificate; give --tls-certificate and --tls-key",
  );
  const foreign = ["--tls-certificate", other.certificate, "--tls-key", other.key];
  expect(await said(at("mutual"), ...ca, ...foreign)).toBe(
    `AT: it does not accept the certificate ${other.certificate}; ` +
      "use one that has not expired, of an authority in serve's --tls-client-ca",
  );
  const { code } = await commandInProcess(["health", "--server", at("mutual"), ...ca, ...own]);
  expect(code).toBe(0);
});

/** What `admin provers` says, with `AT` for the address. */
async function operatorHears(server: string): Promise<string> {
  const { code, stderr } = await commandInProcess(["admin", "provers", "--server", server]);
  expect(code).toBe(1);
  return stderr
    .replace("lean-aggregator: cannot reach the operator's listener at ", "")
    .replaceAll(server, "AT")
    .trim();
}

test("an error of an operator names no flag that 'admin' lacks", async () => {
  const todo = "set --server to its --admin address";
  expect(await operatorHears(at("tls"))).toBe(`AT: it wants TLS; ${todo}`);
  expect(await operatorHears(`https://${at("tls")}`)).toBe(
    `AT: its certificate is of an authority that Node.js does not trust; ${todo}, without https://`,
  );
  expect(await operatorHears(`https://${at("plain")}`)).toBe(
    `AT: it speaks plain text, not TLS; ${todo}, without https://`,
  );
  expect(await operatorHears(`unix:${freshPath("a.sock")}`)).toBe(
    `AT: the socket does not exist; start it with 'lean-aggregator serve', or ${todo}`,
  );
});

test("an IP address over TLS brings no warning of Node.js", async () => {
  const warnings: Error[] = [];
  const note = (warning: Error) => warnings.push(warning);
  process.on("warning", note);
  const { code } = await commandInProcess(["health", "--server", at("tls"), "--tls-ca", files.ca]);
  await new Promise((resolve) => setImmediate(resolve));
  process.off("warning", note);
  expect({ code, warnings }).toEqual({ code: 0, warnings: [] });
});

test("a file of a TLS flag that cannot be used", async () => {
  const missing = freshPath("missing.pem");
  const refused = async (...flags: string[]) => {
    const { code, stderr } = await commandInProcess(["health", "--server", at("tls"), ...flags]);
    expect(code).toBe(2);
    return stderr.replace("lean-aggregator: ", "").trim();
  };
  const todo = "; name the right file";
  expect(await refused("--tls-ca", missing)).toBe(
    `--tls-ca ${missing} cannot be read: it does not exist${todo}`,
  );
  for (const [none, why] of [
    ["/", "it is a folder"],
    ["/dev/zero", "it is not a regular file"],
  ] as const)
    expect(await refused("--tls-ca", none)).toBe(`--tls-ca ${none} cannot be read: ${why}${todo}`);
  expect(await refused("--tls-ca", files.nodeKey)).toBe(
    `--tls-ca ${files.nodeKey} is not a certificate in PEM${todo}`,
  );
  expect(await refused("--tls-certificate", files.node)).toBe(
    `--tls-key is missing: it is needed with --tls-certificate${todo}`,
  );
  expect(await refused("--tls-key", files.nodeKey)).toBe(
    `--tls-certificate is missing: it is needed with --tls-key${todo}`,
  );
  expect(await refused("--tls-certificate", files.nodeKey, "--tls-key", files.nodeKey)).toBe(
    `--tls-certificate ${files.nodeKey} is not a certificate in PEM${todo}`,
  );
  expect(await refused("--tls-certificate", files.node, "--tls-key", files.node)).toBe(
    `--tls-key ${files.node} is not a private key without a passphrase in PEM${todo}`,
  );
  expect(await refused("--tls-certificate", files.node, "--tls-key", other.key)).toBe(
    `--tls-key ${other.key} is not the key of the certificate ${files.node}${todo}`,
  );
  process.env["LEAN_AGGREGATOR_CLIENT_TLS_CA"] = missing;
  expect(await refused()).toBe(
    `LEAN_AGGREGATOR_CLIENT_TLS_CA ${missing} cannot be read: it does not exist${todo}`,
  );
  delete process.env["LEAN_AGGREGATOR_CLIENT_TLS_CA"];
});

test("what listens there, if anything", async () => {
  const web = await portOf(createHttpServer((_, response) => response.end("hello")));
  const silent = await portOf(createServer());
  const talker = await portOf(createServer((socket) => socket.end("220 mail.example ESMTP\r\n")));
  const closed = createServer();
  const nobody = await portOf(closed);
  closed.close();
  expect(await said(nobody)).toBe(
    "AT: nothing listens there; start it with 'lean-aggregator serve', or fix --server",
  );
  expect(await said(web)).toBe(
    "AT: a web server without HTTP/2 listens there, not the service; fix --server",
  );
  expect(await said(talker)).toBe(
    "AT: another program listens there, not the service; fix --server",
  );
  expect(await said(silent)).toBe(
    "AT: it takes the connection and does not answer; " +
      "check that the service is not stopped or overloaded, or fix --server",
  );
  expect(await said("no-such-host.invalid:1")).toMatch(
    /^AT: the name (does not resolve; fix --server|cannot be resolved now; check the DNS, or fix --server)$/,
  );
});

test("Unix sockets", async () => {
  const file = freshPath("file");
  writeFileSync(file, "");
  chmodSync(file, 0o666);
  expect(await said(`unix:${freshPath("a.sock")}`)).toBe(
    "AT: the socket does not exist; start it with 'lean-aggregator serve', or fix --server",
  );
  expect(await said(`unix:${file}`)).toBe("AT: it is not a socket; fix --server");
});

test("a Unix socket that this user may not open", async () => {
  const [isRoot, path] = [process.getuid?.() === 0, freshPath("a.sock")];
  const server = createServer().listen(path);
  await once(server, "listening");
  servers.push(server);
  // Nobody may not even look into the folder.
  if (isRoot) process.seteuid?.(65_534);
  else chmodSync(path, 0);
  try {
    expect(await operatorHears(`unix:${path}`)).toBe(
      "AT: this user may not open the socket; run as the user of the service",
    );
    expect(await said(`unix:${path}`)).toBe(
      "AT: this user may not open the socket; " +
        "run as a user whom serve's --socket-mode and --socket-group allow",
    );
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test.each([
  [
    413,
    "the request is larger than it allows; " +
      "raise the proxy's limit to 24 MiB (nginx: client_max_body_size 24m)",
  ],
  [
    404,
    "it has no such path; " +
      "give the address of the service, or let the proxy pass /lean.aggregator.v1.*",
  ],
  [
    502,
    "it cannot reach the service; start the service, or fix the proxy's upstream (nginx: grpc_pass)",
  ],
])("a proxy's answer %i", async (status, text) => {
  const proxy = createHttp2Server().on("stream", (stream) => {
    stream.respond({ ":status": status, "content-type": "text/html" });
    stream.end("<html>");
  });
  expect(await said(await portOf(proxy))).toBe(
    `lean-aggregator: AT: a proxy or another program answered with HTTP status ${status}: ${text}`,
  );
});

test("an expired certificate of the service", async () => {
  const authority = new Authority("fleet");
  const late = authority.issue({ notAfterMs: Math.floor(Date.now() / 1000) * 1000 - DAY_MS / 2 });
  const { ca, cert, key } = filesOf({
    ca: authority.certificate,
    cert: late.certificate,
    key: late.key,
  });
  const { createSecureServer } = await import("node:http2");
  const { readFileSync } = await import("node:fs");
  const server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });
  server.on("sessionError", () => undefined);
  expect(await said(await portOf(server), "--tls-ca", ca)).toMatch(
    /^AT: its certificate expired at 20\S+Z; renew it$/,
  );
});
