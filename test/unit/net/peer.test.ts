/** What is known of a connection's other end. */
import { expect, test } from "vitest";
import { peerAt } from "../../../server/net/peer.js";

test("a listener's address determines the transport", () => {
  const peer = { listener: "unix:/run/a.sock", transport: "unix", isEncrypted: false };
  expect(peerAt("unix:/run/a.sock", false)).toEqual(peer);
  expect(peerAt("[::1]:9190", true)).toMatchObject({ transport: "tcp", isEncrypted: true });
});
