/**
 * Holds calls to the policy in force: refuses, counts and logs what it denies, and ends open streams
 * that a new policy, or a token's end, no longer allows. Both RPC stacks and the handlers ask here.
 */
import type { Clock } from "../clock.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { Ask, Credential, Decision, DeniedReason, Policy, Principal } from "./policy.js";
import { decide } from "./policy.js";

export interface AccessModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

/** The right to a stream, for as long as it lasts. */
export interface StreamGrant {
  /** Aborts with the refusal as its reason once the stream is allowed no longer. */
  readonly signal: AbortSignal;
  /** To be called when the stream ends, however it ends. */
  close(): void;
}

interface OpenStream {
  credential: Credential;
  ask: Ask;
  principal: string;
  revoked: AbortController;
}

export class Access {
  private readonly streams = new Set<OpenStream>();
  private readonly lastLogged = new Map<DeniedReason, { atMs: number; unlogged: number }>();

  /** @param policy undefined where there is no policy file: everybody may everything */
  constructor(
    private policy: Policy | undefined,
    private readonly modules: AccessModules,
  ) {}

  /** Who calls; throws a `Refusal` when that is unknown, or may not do what it asks. */
  check(credential: Credential, ask: Ask): Principal {
    const decision = this.decide(credential, ask);
    if (decision.kind === "allowed") return decision.principal;
    this.note(decision);
    throw refusalOf(decision);
  }

  /** As `check`, for a stream, which counts against its principal's quota while it is open. */
  openStream(credential: Credential, ask: Ask): StreamGrant {
    const { name, quota } = this.check(credential, ask);
    const open = [...this.streams].filter(({ principal }) => principal === name).length;
    if (quota.streams !== undefined && open >= quota.streams) {
      this.modules.metrics.overQuota.inc({ quota: "streams" });
      const detail = `quota streams of principal ${name} is ${quota.streams}, and ${open} are open`;
      throw new Refusal("resource_exhausted", "", detail);
    }
    const stream = { credential, ask, principal: name, revoked: new AbortController() };
    this.streams.add(stream);
    return { signal: stream.revoked.signal, close: () => void this.streams.delete(stream) };
  }

  replace(policy: Policy): void {
    this.policy = policy;
    this.review();
  }

  /** Ends the streams that are allowed no longer. */
  review(): void {
    for (const { credential, ask, revoked } of this.streams) {
      const decision = this.decide(credential, ask);
      if (decision.kind === "allowed") continue;
      this.note(decision);
      revoked.abort(refusalOf(decision));
    }
  }

  private decide(credential: Credential, ask: Ask): Decision {
    return decide(this.policy, credential, ask, this.modules.clock.unixMs());
  }

  /** Counts each; logs a few, for whoever is denied may well go on asking. */
  private note({ reason, detail }: Exclude<Decision, { kind: "allowed" }>): void {
    const { clock, log, metrics } = this.modules;
    metrics.denied.inc({ reason });
    const atMs = clock.nowMs();
    const last = this.lastLogged.get(reason);
    if (last !== undefined && atMs - last.atMs < limits.deniedLogEveryMs) {
      last.unlogged++;
      return;
    }
    log.warn({ reason, detail, unlogged: last?.unlogged ?? 0 }, "call denied");
    this.lastLogged.set(reason, { atMs, unlogged: 0 });
  }
}

function refusalOf(decision: Exclude<Decision, { kind: "allowed" }>): Refusal {
  const kind = decision.kind === "unknown" ? "unauthenticated" : "permission_denied";
  return new Refusal(kind, "", decision.detail);
}
