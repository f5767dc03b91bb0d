/**
 * Checks a call against the policy when its headers arrive: who calls, what, and how often. The
 * credential is the client certificate, else the token, else the address that the call came to.
 * Only that one decides: a mistyped token is not treated like a missing one.
 */
import type { DescService } from "@bufbuild/protobuf";
import { AdminService } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Access } from "../../access/access.js";
import type { Ask, Credential, Principal } from "../../access/policy.js";
import { tokenHash } from "../../access/token.js";
import { isLocal } from "../../net/address.js";
import type { Peer, PeerCertificate } from "../../net/peer.js";
import { methodPath } from "./request-limits.js";

/** Open to all callers: probes have no credentials, and learn only whether nodes are served. */
const OPEN_PATH = "/grpc.health.v1.Health/Check";

const asksOf = (service: DescService, isOperators: boolean) =>
  Object.values(service.method).map((method): [string, Ask] => [
    methodPath(method),
    { call: method.name, isOperators },
  ]);
/** What the calls of both services ask for, by path. Other calls are the standard ones. */
const asks: ReadonlyMap<string, Ask> = new Map([
  ...asksOf(AggregatorService, false),
  ...asksOf(AdminService, true),
]);

/**
 * The caller's principal; undefined for the health check, which is open to all. Every known caller
 * may make the standard calls, such as reflection or a health watch. Throws a `Refusal` when the
 * caller is unknown, may not make the call, or is over its quota of calls.
 */
export function admitHeaders(
  access: Access,
  credential: Credential,
  path: string,
): Principal | undefined {
  if (path === OPEN_PATH) return undefined;
  return access.begin(credential, asks.get(path) ?? {});
}

/** Whether the call at this path is one of the standard ones, which every known caller may make. */
export function isStandard(path: string): boolean {
  return !asks.has(path);
}

/** @param authorization the header of that name, if any; never kept, logged or sent on */
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

/** The first alternative name, else the common name as `CN:…`; undefined when it has neither. */
function nameOf({ subjectAltNames: [first], commonName }: PeerCertificate): string | undefined {
  return first ?? (commonName === undefined ? undefined : `CN:${commonName}`);
}
