/**
 * Decides whether a caller may make a call, from the caller's credential and the current policy.
 * A decision to deny has its reason. Pure. What the policy does not name is denied.
 */
import type { ForbiddenReason, UnknownReason } from "../reasons.js";
import type { PriorityName } from "../work/priority.js";
import type { Quota } from "../work/principal.js";
import { isSameHash } from "./token.js";

/** A caller with a name, as the policy file describes it. */
export interface Principal {
  /** Names the principal in logs, messages and quotas; not a secret. */
  readonly name: string;
  /** Patterns for the first name in a certificate, such as `DNS:node-1.example` or `CN:node-1`. */
  readonly certificates: readonly string[];
  readonly tokens: readonly TokenEntry[];
  /** Paths of the service's Unix sockets: a caller there without a token is this principal. */
  readonly sockets: readonly string[];
  /** Whether every caller without a credential at a loopback address is this principal. */
  readonly anonymous: boolean;
  /** Patterns for the ids of the nodes that the principal may act for. */
  readonly nodes: readonly string[];
  /** Patterns for the calls of `AggregatorService`, and for `Metrics`, the page /metrics. */
  readonly calls: readonly string[];
  /** Patterns for the calls of `AdminService`. */
  readonly operatorCalls: readonly string[];
  /** Patterns for the priorities at which the principal may submit. */
  readonly priorities: readonly string[];
  readonly quota: Quota;
}

export interface TokenEntry {
  /** SHA-256 of the token. */
  readonly sha256: Buffer;
  /** Unix time in milliseconds from which the token is denied; undefined: it does not expire. */
  readonly expiresUnixMs?: number | undefined;
}

export interface Policy {
  /** The first one that matches a caller is the caller's principal. */
  readonly principals: readonly Principal[];
}

/** What identifies a caller. The RPC layer picks the one that counts of several: `credentialOf`. */
export type Credential =
  | { kind: "certificate"; name: string }
  | { kind: "token"; sha256: Buffer }
  | { kind: "token_in_clear" }
  | { kind: "socket"; path: string }
  | { kind: "loopback" }
  | { kind: "nothing" };

/** What a caller asks for. Absent fields are not checked: the node is only known from the body. */
export interface Ask {
  /** Name of the method; absent for what every known caller may do, such as reflection. */
  call?: string;
  /** Whether `call` is one of `AdminService`. Default: of `AggregatorService`. */
  isOperators?: boolean;
  nodeId?: string;
  priority?: PriorityName;
}

export type Decision =
  | { kind: "allowed"; principal: Principal }
  | { kind: "unknown"; reason: UnknownReason; detail: string }
  | { kind: "forbidden"; reason: ForbiddenReason; principal: Principal; detail: string };

/** The principal of every caller when there is no policy file: it may do everything. */
const everybody: Principal = {
  name: "anonymous",
  certificates: [],
  tokens: [],
  sockets: [],
  anonymous: true,
  nodes: ["*"],
  calls: ["*"],
  operatorCalls: ["*"],
  priorities: ["*"],
  quota: {},
};

/** @param policy undefined when there is no policy file: every call is allowed */
export function decide(
  policy: Policy | undefined,
  credential: Credential,
  ask: Ask,
  nowUnixMs: number,
): Decision {
  if (policy === undefined) return { kind: "allowed", principal: everybody };
  const found = identify(policy, credential, nowUnixMs);
  return found.kind === "allowed" ? permit(found.principal, ask) : found;
}

/** Whether the principal may do what is asked, whatever its credential. */
export function permit(principal: Principal, ask: Ask): Exclude<Decision, { kind: "unknown" }> {
  const { call, isOperators = false, nodeId, priority } = ask;
  const forbidden = (reason: ForbiddenReason, what: string) => {
    const detail = `principal ${principal.name} may not ${what}`;
    return { kind: "forbidden", reason, principal, detail } as const;
  };
  const calls = isOperators ? principal.operatorCalls : principal.calls;
  if (call !== undefined && !matchesAny(calls, call)) return forbidden("call", `call ${call}`);
  if (nodeId !== undefined && !matchesAny(principal.nodes, nodeId)) {
    return forbidden("node", `speak for node ${nodeId}`);
  }
  if (priority !== undefined && !matchesAny(principal.priorities, priority)) {
    return forbidden("priority", `submit at priority ${priority}`);
  }
  return { kind: "allowed", principal };
}

type Identified = Exclude<Decision, { kind: "forbidden" }>;

/** The principal of a credential: an unknown token on loopback does not count as anonymous. */
function identify({ principals }: Policy, credential: Credential, nowUnixMs: number): Identified {
  const unknown = (reason: UnknownReason, detail: string): Identified => {
    return { kind: "unknown", reason, detail };
  };
  const known = (principal: Principal | undefined, otherwise: Identified): Identified =>
    principal === undefined ? otherwise : { kind: "allowed", principal };
  switch (credential.kind) {
    case "certificate": {
      const { name } = credential;
      return known(
        principals.find(({ certificates }) => matchesAny(certificates, name)),
        unknown("unknown_certificate", `no principal has a certificate with the name ${name}`),
      );
    }
    case "token":
      return byToken(principals, credential.sha256, nowUnixMs);
    case "token_in_clear": {
      const detail =
        "a token is accepted only over TLS, loopback or a Unix socket: replace this one";
      return unknown("token_in_clear", detail);
    }
    case "socket":
      return known(
        principals.find(({ sockets }) => sockets.includes(credential.path)),
        unknown("unknown_socket", "no principal has this socket, and no token was sent"),
      );
    case "loopback":
      return known(
        principals.find(({ anonymous }) => anonymous),
        unknown("no_credentials", "no token was sent, and the policy has no anonymous principal"),
      );
    case "nothing":
      return unknown("no_credentials", "neither a client certificate nor a token was sent");
  }
}

/** The principal of a token. Compares every hash, so that its time reveals nothing of them. */
function byToken(principals: readonly Principal[], sha256: Buffer, nowUnixMs: number): Identified {
  let found: { principal: Principal; expiresUnixMs: number } | undefined;
  for (const principal of principals) {
    for (const { sha256: known, expiresUnixMs = Infinity } of principal.tokens) {
      if (isSameHash(known, sha256)) found ??= { principal, expiresUnixMs };
    }
  }
  if (found === undefined) {
    return { kind: "unknown", reason: "unknown_token", detail: "the token is not known" };
  }
  if (nowUnixMs < found.expiresUnixMs) return { kind: "allowed", principal: found.principal };
  return { kind: "unknown", reason: "expired_token", detail: "the token has expired" };
}

/** Whether a pattern matches `name`. A pattern is a name, or the start of a name and then `*`. */
function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}
