/**
 * Who may do what: from what a caller showed, and the policy in force, to a decision and its reason.
 * Pure. Whatever the policy does not name is denied.
 */
import type { ForbiddenReason, UnknownReason } from "../reasons.js";
import type { PriorityName } from "../work/priority.js";
import type { Quota } from "./quota.js";
import { isSameHash } from "./token.js";

/** One who calls, as the policy file has it. */
export interface Principal {
  /** For logs, messages and quotas; not a secret. */
  readonly name: string;
  /** First names of certificates, as `DNS:node-1.example` or `CN:node-1`; patterns. */
  readonly certificates: readonly string[];
  readonly tokens: readonly TokenEntry[];
  /** Paths of the service's own Unix sockets: who may open one is the file system's to say. */
  readonly sockets: readonly string[];
  /** Whoever comes to a loopback address and shows nothing. */
  readonly anonymous: boolean;
  /** Node ids that it speaks for; patterns. */
  readonly nodes: readonly string[];
  /** Of the nodes' service, and `Metrics`; patterns. */
  readonly calls: readonly string[];
  /** Of the operator's service; patterns. */
  readonly operatorCalls: readonly string[];
  readonly priorities: readonly string[];
  readonly quota: Quota;
}

export interface TokenEntry {
  /** SHA-256 of the token. */
  readonly sha256: Buffer;
  /** Wall clock; the token is refused from then on. */
  readonly expiresUnixMs?: number | undefined;
}

export interface Policy {
  /** In order: the first that recognises a caller is the one. */
  readonly principals: readonly Principal[];
}

/** The one thing that a caller is known by; `rpc/credential.ts` says which of several counts. */
export type Credential =
  | { kind: "certificate"; name: string }
  | { kind: "token"; sha256: Buffer }
  | { kind: "token_in_clear" }
  | { kind: "socket"; path: string }
  | { kind: "loopback" }
  | { kind: "nothing" };

/** What is asked for. What is left out is not judged: a node is known only once a body is read. */
export interface Ask {
  /** Absent: anything that takes a known caller, such as reflection. */
  call?: string;
  isOperators?: boolean;
  nodeId?: string;
  priority?: PriorityName;
}

export type Decision =
  | { kind: "allowed"; principal: Principal }
  | { kind: "unknown"; reason: UnknownReason; detail: string }
  | { kind: "forbidden"; reason: ForbiddenReason; principal: Principal; detail: string };

/** Without a policy file only this machine can call, and whoever can may do everything. */
export const everybody: Principal = {
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

/** @param policy undefined where there is no policy file */
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

/** Whether this principal may, whatever it was recognised by. */
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

/** What was shown decides alone: an unknown token on loopback is not anonymous. */
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
      const detail = "a token is taken over TLS, loopback or a Unix socket only: replace this one";
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

/** Each hash is looked at: time tells nothing of how far one is guessed. */
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

/** A pattern is a name, or how a name begins and then `*`. */
function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}
