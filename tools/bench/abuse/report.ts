/** Reports how long the steady client's calls took during each attack. */
import { quantile } from "../statistics.js";
import type { ListenerName, Samples } from "./steady-client.js";

export const MB = 1024 * 1024;

export interface Row {
  attack: string;
  listener: ListenerName;
  /** The steady client's calls without an attack. */
  normal: Samples;
  /** Its calls during the attack. */
  attacked: Samples;
  /** Growth of the service's resident memory since before the first attack. */
  growthBytes: number;
  /** How the attacker's connections ended. */
  endings: string;
  /** True when the listener has closed one of the attacker's connections. */
  isCut: boolean;
  /** Milliseconds from the attack's end until the service answers without delay again. */
  settleMs: number;
}

/** How long a call may take without an attack, in milliseconds: less is not counted as slower. */
export type Noise = Record<"p50" | "p95", number>;

/**
 * How many times longer a call took under attack than normally, or than the noise if that is more.
 */
export function times({ normal, attacked }: Row, q: "p50" | "p95", noiseMs: Noise): number {
  const of = (samples: Samples) => quantile(samples.callMs, q === "p50" ? 0.5 : 0.95);
  return of(attacked) / Math.max(of(normal), noiseMs[q]);
}

/** Formats the table that `make abuse` prints. */
export function table(rows: readonly Row[], noiseMs: Noise): string {
  const head = [
    "listener",
    "attack",
    "p50 ms",
    "",
    "p95 ms",
    "",
    "new",
    "lost",
    "MB",
    "calm ms",
    "",
  ];
  const cell = (value: number) => value.toFixed(1);
  const lines = rows.map((row) => {
    const { normal, attacked } = row;
    const pair = (q: number) => [normal, attacked].map(({ callMs }) => cell(quantile(callMs, q)));
    const isSlow = times(row, "p50", noiseMs) > 2 || times(row, "p95", noiseMs) > 2;
    const lost = `${attacked.failures.length}+${attacked.newcomerFailures.length}`;
    return [
      ...[row.listener, row.attack, ...pair(0.5), ...pair(0.95)],
      cell(quantile(attacked.newcomerMs, 0.5)),
      ...[
        lost,
        (row.growthBytes / MB).toFixed(0),
        row.settleMs.toFixed(0),
        row.endings,
        isSlow ? "over twice" : "",
      ],
    ];
  });
  const all = [head, ...lines];
  const widths = head.map((_, at) => Math.max(...all.map((line) => (line[at] ?? "").length)));
  return all
    .map((line) => line.map((text, at) => text.padEnd(widths[at] ?? 0)).join("  "))
    .join("\n");
}
