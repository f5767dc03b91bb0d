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
])("%s", (text, target, isEncrypted, isLocal) => {
  expect(parseServerAddress(text)).toEqual({ target, isEncrypted, isLocal });
});

test.each(["https://", "https://node-1/path", "https://me@node-1", "https://node-1:port"])(
  "%s is refused with what to write",
  (text) => {
    expect(() => parseServerAddress(text)).toThrow(`invalid address ${text}: write https://host`);
  },
);
