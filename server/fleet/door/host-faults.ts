/**
 * Counts what lane hosts do that no correct host does, logs it once a minute for each host, and says
 * which hosts are left out for wrong proofs or verdicts.
 */
import type { Logger } from "../../log/log.js";
import type { DoorMetrics, HostFault } from "./door-metrics.js";

/** So many wrong proofs or verdicts in `LIES_MS`, and the host is left out. */
const LIES_MAX = 3;
const LIES_MS = 10 * 60_000;
const LOG_EVERY_MS = 60_000;

interface Record {
  readonly counts: Map<HostFault, number>;
  /** What was wrong last, for people. */
  detail: string;
  /** When its faults were logged last; -Infinity: never. */
  loggedAtMs: number;
  /** Instants of its wrong proofs and verdicts, the newest `LIES_MAX`. */
  lies: readonly number[];
}

export interface HostFaultsModules {
  log: Logger;
  metrics: Pick<DoorMetrics, "faults">;
}

export class HostFaults {
  private readonly records = new Map<string, Record>();

  constructor(private readonly modules: HostFaultsModules) {}

  add(host: string, fault: HostFault, detail: string, nowMs: number): void {
    this.modules.metrics.faults.inc({ fault });
    const record = this.recordOf(host);
    record.counts.set(fault, (record.counts.get(fault) ?? 0) + 1);
    record.detail = detail;
    if (fault === "invalid_proof" || fault === "false_verdict") {
      record.lies = [...record.lies, nowMs].slice(-LIES_MAX);
    }
    if (nowMs - record.loggedAtMs >= LOG_EVERY_MS) this.report(host, record, nowMs);
  }

  /** Why the host is left out, for people; undefined while it is not. */
  whyLeftOut(host: string, nowMs: number): string | undefined {
    const lies = this.records.get(host)?.lies ?? [];
    const isOut = lies.length >= LIES_MAX && lies.every((atMs) => nowMs - atMs < LIES_MS);
    return isOut ? `${LIES_MAX} of its proofs or verdicts were wrong in ten minutes` : undefined;
  }

  /** Logs what was not logged yet, and forgets hosts of which nothing is to be remembered. */
  expire(nowMs: number): void {
    for (const [host, record] of this.records) {
      if (nowMs - record.loggedAtMs < LOG_EVERY_MS) continue;
      if (record.counts.size > 0) this.report(host, record, nowMs);
      else if (record.lies.every((atMs) => nowMs - atMs >= LIES_MS)) this.records.delete(host);
    }
  }

  private report(host: string, record: Record, nowMs: number): void {
    const { counts, detail } = record;
    this.modules.log.warn(
      { host, ...Object.fromEntries(counts), detail },
      "lane host breaks the rules",
    );
    counts.clear();
    record.loggedAtMs = nowMs;
  }

  private recordOf(host: string): Record {
    const known = this.records.get(host);
    if (known !== undefined) return known;
    const fresh: Record = { counts: new Map(), detail: "", loggedAtMs: -Infinity, lies: [] };
    this.records.set(host, fresh);
    return fresh;
  }
}
