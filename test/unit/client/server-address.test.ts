/** Addresses of a service as users write them. */
import { expect, test } from "vitest";
import { parseServerAddress } from "../../../client/rpc/server-address.js";

test.each([
  ["unix:/run/a.sock", "unix:/run/a.sock", false, true],
  ["127.0.0.1:9190", "127.0.0.1:9190", undefined, true],
  ["node-1:9190", "node-1:9190", undefined, false],
  ["dns:node-1:9190", "dns:node-1:9190", undefined, false],
  ["https://node-1", "dns:node-1:443", true, false],
  ["https://node-1:9190/", "dns:node-1:9190", true, false],
  ["http://localhost", "dns:localhost:80", false, true],
  ["http://[::1]:9190", "dns:[::1]:9190", false, true],
  ["https://127.8.8.8", "dns:127.8.8.8:443", true, true],
  ["http://[0:0:0:0:0:0:0:1]:9190", "dns:[0:0:0:0:0:0:0:1]:9190", false, true],
  ["[0:0:0:0:0:0:0:1]:9190", "[0:0:0:0:0:0:0:1]:9190", undefined, true],
  ["[::ffff:127.0.0.1]:9190", "[::ffff:127.0.0.1]:9190", undefined, true],
  ["LocalHost:9190", "LocalHost:9190", undefined, true],
  ["dns:///node-1:9190", "dns:///node-1:9190", undefined, false],
  ["dns:localhost:9190", "dns:localhost:9190", undefined, true],
  ["ipv4:127.0.0.1:9190,127.0.0.2:9190", "ipv4:127.0.0.1:9190,127.0.0.2:9190", undefined, true],
  ["ipv4:127.0.0.1:9190,10.0.0.2:9190", "ipv4:127.0.0.1:9190,10.0.0.2:9190", undefined, false],
  ["ipv6:[::1]:9190", "ipv6:[::1]:9190", undefined, true],
  ["unix:///run/a.sock", "unix:/run/a.sock", false, true],
])("%s", (text, target, isEncrypted, isLocal) => {
  expect(parseServerAddress(text)).toMatchObject({ target, isEncrypted, isLocal });
});

const URL_FORM = "expected https://host:port without a path, a query or a user";
const PORT = "expected a port from 0 to 65535";

test.each([
  ["https://", "expected a host before the port, such as 127.0.0.1"],
  ["https://node-1/path", URL_FORM],
  ["https://node-1?a", URL_FORM],
  ["https://me@node-1", URL_FORM],
  ["https://node-1:port", PORT],
  ["https://node-1:99999", PORT],
  ["http://127.1:9190", "expected an IPv4 address of four numbers from 0 to 255, as in 127.0.0.1"],
  ["127.0.0.1:0", "expected a port from 1 to 65535"],
  ["dns:node-1:0", "expected a port from 1 to 65535"],
  ["127.0.0.1:99999", PORT],
  ["node-1", "expected host:port or unix:/path"],
  [
    "unix:a.sock",
    "expected an absolute path after unix:, as in unix:/run/lean-aggregator/node.sock",
  ],
  ["ftp://node-1:9190", "expected host:port or unix:/path, without ftp://"],
  ["ipv4:127.0.0.1:9190,", "expected host:port or unix:/path"],
])("%s is refused with what to write", (text, expected) => {
  expect(() => parseServerAddress(text)).toThrow(`invalid address "${text}": ${expected}`);
});
