/**
 * Holds a call to the policy by its connection and headers: who calls, what, and how often. A client
 * certificate counts before a token, and a token before the address that the call came to. What
 * counts decides alone, so that a mistyped token is never taken for a caller without one.
 */
import type { DescService } from "@bufbuild/protobuf";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "../access/access.js";
import type { Ask, Credential, Principal } from "../access/policy.js";
import { tokenHash } from "../access/token.js";
import { isLocal } from "../net/address.js";
import type { Peer, PeerCertificate } from "../net/peer.js";
import { methodPath } from "./request-limits.js";

/** Open to all: probes have no credentials, and the answer is only whether nodes are served. */
const OPEN_PATH = "/grpc.health.v1.Health/Check";

const asksOf = (service: DescService, isOperators: boolean) =>
  Object.values(service.method).map((method): [string, Ask] => [
    methodPath(method),
    { call: method.name, isOperators },
  ]);
const asks: ReadonlyMap<string, Ask> = new Map([
  ...asksOf(AggregatorService, false),
  ...asksOf(AdminService, true),
]);

/**
 * The caller's principal; undefined for the health check, which is open to all. Every known caller
 * may make the standard calls, such as reflection or a health watch. Throws a `Refusal`.
 */
export function admitHeaders(
  access: Access,
  credential: Credential,
  path: string,
): Principal | undefined {
  if (path === OPEN_PATH) return undefined;
  return access.begin(credential, asks.get(path) ?? {});
}

/** @param authorization the header's value, if any; never kept, logged or sent on */
export function credentialOf(peer: Peer, authorization: string | undefined): Credential {
  const { certificate, transport, listener, isEncrypted } = peer;
  const name = certificate === undefined ? undefined : nameOf(certificate);
  if (name !== undefined) return { kind: "certificate", name };
  const isLocalPeer = isLocal(listener);
  if (authorization !== undefined) {
    if (!isEncrypted && !isLocalPeer) return { kind: "token_in_clear" };
    return { kind: "token", sha256: tokenHash(authorization.replace(/^bearer +/i, "")) };
  }
  if (transport === "unix") return { kind: "socket", path: listener.slice("unix:".length) };
  return { kind: isLocalPeer ? "loopback" : "nothing" };
}

/** The certificate's first alternative name, or its common name; undefined without either. */
function nameOf({ subjectAltNames: [first], commonName }: PeerCertificate): string | undefined {
  return first ?? (commonName === undefined ? undefined : `CN:${commonName}`);
}
