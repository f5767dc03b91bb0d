/** What a call is known by: which of the things that it shows counts. */
import { expect, test } from "vitest";
import type { Credential } from "../../../server/access/policy.js";
import { tokenHash } from "../../../server/access/token.js";
import { credentialOf } from "../../../server/rpc/call/permission.js";
import type { Peer } from "../../../server/net/peer.js";
import { peerAt } from "../../../server/net/peer.js";

const token = { kind: "token", sha256: tokenHash("lagg_a") } as const;
const certified = (subjectAltNames: string[], commonName?: string): Peer => ({
  ...peerAt("0.0.0.0:1", true),
  certificate: { subjectAltNames, fingerprint: "", ...(commonName && { commonName }) },
});
const names = certified(["URI:spiffe://fleet/a", "DNS:a"], "c");

test.each<[string, Peer, string | undefined, Credential]>([
  [
    "a certificate's first alternative name",
    names,
    undefined,
    { kind: "certificate", name: "URI:spiffe://fleet/a" },
  ],
  [
    "a certificate's common name, without another",
    certified([], "c"),
    undefined,
    { kind: "certificate", name: "CN:c" },
  ],
  [
    "a certificate before a token",
    names,
    "Bearer lagg_a",
    { kind: "certificate", name: "URI:spiffe://fleet/a" },
  ],
  ["a token beside a certificate of no name", certified([]), "Bearer lagg_a", token],
  ["a token over TLS", peerAt("0.0.0.0:1", true), "bearer  lagg_a", token],
  ["a token over loopback", peerAt("127.0.0.1:1", false), "Bearer lagg_a", token],
  ["a token before its socket", peerAt("unix:/run/a", false), "Bearer lagg_a", token],
  [
    "a token that the network could read",
    peerAt("10.0.0.1:1", false),
    "Bearer lagg_a",
    { kind: "token_in_clear" },
  ],
  [
    "a token to a name that only begins like loopback",
    peerAt("localhost.example:1", false),
    "Bearer lagg_a",
    { kind: "token_in_clear" },
  ],
  ["an empty token", peerAt("127.0.0.1:1", false), "", { kind: "token", sha256: tokenHash("") }],
  ["a socket", peerAt("unix:/run/a", false), undefined, { kind: "socket", path: "/run/a" }],
  ["loopback", peerAt("[::1]:1", false), undefined, { kind: "loopback" }],
  ["loopback over TLS", peerAt("localhost:1", true), undefined, { kind: "loopback" }],
  ["nothing, over TLS", peerAt("0.0.0.0:1", true), undefined, { kind: "nothing" }],
  ["nothing, in plain text", peerAt("10.0.0.1:1", false), undefined, { kind: "nothing" }],
])("%s", (_, peer, authorization, credential) => {
  expect(credentialOf(peer, authorization)).toEqual(credential);
});
