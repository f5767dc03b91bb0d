/**
 * Applies the current policy to calls: denies, counts and logs the calls that it does not allow.
 * Ends open streams and waiting calls that are no longer allowed, after a change of the policy or
 * when a token has expired. Called by the RPC layer.
 */
import type { Clock } from "../clock.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import type { Logger } from "../log/log.js";
import type { Metrics } from "../metrics/metrics.js";
import { CallRate } from "./call-rate.js";
import type { DeniedReason, QuotaName } from "../reasons.js";
import type { Ask, Credential, Decision, Policy, Principal } from "./policy.js";
import { decide } from "./policy.js";
import { overQuotaDetail } from "./quota.js";

export interface AccessModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

/** The permission of a stream or of a waiting call, while it is open. */
export interface CallGrant {
  /** Aborts, with a `Refusal` as its reason, when the call is no longer allowed. */
  readonly signal: AbortSignal;
  /** Must be called when the call ends, for whatever reason. */
  close(): void;
}

/** A stream or a waiting call that is open. */
interface OpenCall {
  credential: Credential;
  ask: Ask;
  /** "stream": one of results. */
  kind: "stream" | "wait";
  /** Name of the principal. */
  principal: string;
  revoked: AbortController;
}

export class Access {
  private readonly open = new Set<OpenCall>();
  private readonly rate = new CallRate();
  /** When each reason was last logged, on the monotonic clock, and the denials not logged since. */
  private readonly lastLogged = new Map<DeniedReason, { atMs: number; unlogged: number }>();

  /** @param policy undefined when there is no policy file: every caller may do everything */
  constructor(
    private policy: Policy | undefined,
    private readonly modules: AccessModules,
  ) {
    modules.metrics.streamsOpen.readBy(() => this.streamsOpen);
  }

  /** The caller's principal. Throws a `Refusal` when the caller is unknown or may not do this. */
  check(credential: Credential, ask: Ask): Principal {
    const decision = this.decide(credential, ask);
    if (decision.kind === "allowed") return decision.principal;
    this.note(decision);
    throw refusalOf(decision);
  }

  /** Like `check`, once for each call: counts it, and refuses it over the quota of calls. */
  begin(credential: Credential, ask: Ask): Principal {
    const principal = this.check(credential, ask);
    const { callsPerMinute } = principal.quota;
    if (callsPerMinute !== undefined) {
      const waitMs = this.rate.take(principal.name, callsPerMinute, this.modules.clock.nowMs());
      if (waitMs > 0) {
        throw this.overQuota("callsPerMinute", principal, `the next is free in ${waitMs} ms`);
      }
    }
    return principal;
  }

  /** Like `check`, for a stream of results: refuses it when its principal has its quota of them open. */
  openStream(credential: Credential, ask: Ask): CallGrant {
    const principal = this.check(credential, ask);
    const streams = [...this.open].filter(
      (call) => call.kind === "stream" && call.principal === principal.name,
    );
    if (streams.length >= (principal.quota.streams ?? Infinity)) {
      throw this.overQuota("streams", principal, `${streams.length} are open`);
    }
    return this.grant({ credential, ask, kind: "stream", principal: principal.name });
  }

  /** Like `check`, for a call that is open for long, but streams no results. */
  openWait(credential: Credential, ask: Ask): CallGrant {
    const { name } = this.check(credential, ask);
    return this.grant({ credential, ask, kind: "wait", principal: name });
  }

  /** Puts a new policy in force, and ends the open calls that the new policy does not allow. */
  replace(policy: Policy): void {
    this.policy = policy;
    this.rate.keep(new Set(policy.principals.map(({ name }) => name)));
    this.review();
  }

  /** Ends the streams and waiting calls that are no longer allowed. */
  review(): void {
    for (const { credential, ask, revoked } of this.open) {
      if (revoked.signal.aborted) continue;
      const decision = this.decide(credential, ask);
      if (decision.kind === "allowed") continue;
      this.note(decision);
      revoked.abort(refusalOf(decision));
    }
  }

  /** How many streams of results are open, of all principals. */
  private get streamsOpen(): number {
    return [...this.open].filter(({ kind }) => kind === "stream").length;
  }

  private grant(of: Omit<OpenCall, "revoked">): CallGrant {
    const call = { ...of, revoked: new AbortController() };
    this.open.add(call);
    return { signal: call.revoked.signal, close: () => void this.open.delete(call) };
  }

  private overQuota(which: QuotaName, principal: Principal, used: string): Refusal {
    this.modules.metrics.overQuota.inc({ quota: which });
    return new Refusal("resource_exhausted", "", overQuotaDetail(principal, which, used));
  }

  private decide(credential: Credential, ask: Ask): Decision {
    return decide(this.policy, credential, ask, this.modules.clock.unixMs());
  }

  /** Counts each denial, but logs few: a denied client often retries. */
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
