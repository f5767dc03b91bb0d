import { expect, test } from "vitest";
import { hostProblem } from "../../../server/net/host-rule.js";
import { peerAt } from "../../../server/net/peer.js";

const LOOPBACK = peerAt("127.0.0.1:9190", false);
const json = { "content-type": "application/json" };

interface Sent {
  method?: string;
  url?: string;
  headers?: Record<string, string>;
  /** Added after `headers`: names and values in turn. */
  more?: string[];
}

function problemOf(
  { method = "POST", url = "/x", headers = {}, more = [] }: Sent,
  peer = LOOPBACK,
  allowed: readonly string[] = ["fleet.example"],
): string | undefined {
  const rawHeaders = [...Object.entries(headers).flat(), ...more];
  return hostProblem({ method, url, headers, rawHeaders }, peer, allowed);
}

test.each([
  "localhost",
  "localhost:9190",
  "LocalHost:9190",
  "localhost.",
  "localhost.:9190",
  "node.localhost",
  "a.b.localhost:1",
  "127.0.0.1",
  "127.0.0.1:9190",
  "10.1.2.3",
  "[::1]",
  "[::1]:9190",
  "[2001:DB8::7]:9190",
  "[fe80::1%25lo]:9190",
  "fleet.example",
  "FLEET.example:443",
  "fleet.example.",
])("Host %s is served", (host) => {
  for (const name of ["host", ":authority"]) {
    expect(problemOf({ headers: { ...json, [name]: host } })).toBeUndefined();
  }
});

test.each([
  "evil.example",
  "evil.example:9190",
  "localhost.evil.example",
  "127.0.0.1.nip.io",
  "127.0.0.1.evil.example:9190",
  "evil-localhost",
  "evillocalhost",
  ".localhost",
  "localhost..",
  "a..localhost",
  "sub.fleet.example",
  "fleet.example.evil.example",
  "localhost@evil.example",
  "evil.example/localhost",
  "evil.example#localhost",
  "evil.example localhost",
  "localhost, evil.example",
  "[evil.example]",
  "[::1]evil.example",
  "::1",
  "256.0.0.1",
  "",
])("Host %s is refused, naming the flag", (host) => {
  for (const name of ["host", ":authority"]) {
    const problem = problemOf({ headers: { ...json, [name]: host } });
    expect(problem).toContain(`Host is ${JSON.stringify(host)}`);
    expect(problem).toContain("--allowed-hosts");
  }
});

test.each([
  "http://localhost:3000",
  "https://LOCALHOST",
  "http://127.0.0.1:9190",
  "http://[::1]:9190",
  "https://fleet.example",
])("Origin %s is served, to gRPC too", (origin) => {
  for (const type of ["application/json", "application/grpc-web", "application/grpc"]) {
    const headers = { host: "localhost", "content-type": type, origin };
    expect(problemOf({ headers })).toBeUndefined();
  }
});

test.each([
  "http://evil.example",
  "http://localhost.evil.example",
  "http://localhost@evil.example",
  "null",
  "",
  "localhost",
  "file://",
  "chrome-extension://abcdef",
  "http://localhost http://evil.example",
  "http://localhost, http://evil.example",
])("Origin %s is refused, with every content type", (origin) => {
  for (const type of ["application/json", "application/grpc-web", "application/grpc", ""]) {
    const headers = { host: "localhost", "content-type": type, origin };
    expect(problemOf({ headers })).toContain(`Origin is ${JSON.stringify(origin)}`);
  }
});

test("all that a request names counts: repeated headers, both of HTTP/2's, a whole URL", () => {
  const headers = { ...json, host: "localhost" };
  const host = "evil.example";
  expect(problemOf({ headers, more: ["Host", host] })).toContain("Host");
  expect(problemOf({ headers: { ...json, ":authority": "localhost", host } })).toContain("Host");
  expect(problemOf({ headers: { ...json, ":authority": host, host: "localhost" } })).toContain(
    "Host",
  );
  expect(problemOf({ headers, more: ["Origin", `http://${host}`] })).toContain("Origin");
  for (const url of [`http://${host}/metrics`, `HTTPS://${host}:9190`, host]) {
    expect(problemOf({ headers, url })).toContain("the URL");
  }
  expect(problemOf({ headers, url: "http://localhost:9190/metrics" })).toBeUndefined();
  expect(problemOf({ headers, url: "*", method: "OPTIONS" })).toBeUndefined();
});

test("a call over gRPC without an Origin is served by any name, a page's GET is not", () => {
  for (const type of ["application/grpc", "Application/gRPC+proto", "application/grpc;x=1"]) {
    const headers = { host: "evil.example", "content-type": type };
    expect(problemOf({ headers })).toBeUndefined();
    for (const method of ["GET", "HEAD", "OPTIONS", "PUT"]) {
      expect(problemOf({ headers, method })).toContain("Host");
    }
  }
  for (const type of ["application/grpc-web", "application/grpcx", "application/connect+proto"]) {
    expect(problemOf({ headers: { host: "evil.example", "content-type": type } })).toContain(
      "Host",
    );
  }
});

test("a request that names no host is no browser's", () => {
  expect(problemOf({ headers: json })).toBeUndefined();
  expect(problemOf({ headers: { ...json, origin: "http://evil.example" } })).toContain("Origin");
});

test("Unix sockets, TLS and other addresses than loopback ones are exempt", () => {
  const headers = { ...json, host: "evil.example", origin: "http://evil.example" };
  for (const address of ["unix:/run/x.sock", "0.0.0.0:9190", "10.0.0.7:9190", "[::]:9190"]) {
    expect(problemOf({ headers }, peerAt(address, false))).toBeUndefined();
  }
  expect(problemOf({ headers }, peerAt("127.0.0.1:9190", true))).toBeUndefined();
  for (const address of ["localhost:9190", "127.9.9.9:1", "[::1]:9190"]) {
    expect(problemOf({ headers }, peerAt(address, false))).toBeDefined();
  }
});

test("a long name is quoted in part", () => {
  const problem = problemOf({ headers: { ...json, host: "a".repeat(10_000) } });
  expect(problem?.length).toBeLessThan(400);
});
