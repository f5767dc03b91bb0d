/** How the steady client fared, attack by attack. */
import { quantile } from "../statistics.js";
import type { ListenerName, Samples } from "./steady-client.js";

export const MB = 1024 * 1024;

export interface Row {
  attack: string;
  listener: ListenerName;
  normal: Samples;
  attacked: Samples;
  growthBytes: number;
  endings: string;
  /** The listener has ended a connection of the attacker's. */
  isCut: boolean;
  /** From the attack's end until the service answers at once again. */
  settleMs: number;
}

/** What a call takes now and then without any attack. */
export type Noise = Record<"p50" | "p95", number>;

/** How many times longer than normal, or than noise, a call took under attack. */
export function times({ normal, attacked }: Row, q: "p50" | "p95", noiseMs: Noise): number {
  const of = (samples: Samples) => quantile(samples.callMs, q === "p50" ? 0.5 : 0.95);
  return of(attacked) / Math.max(of(normal), noiseMs[q]);
}

/** As `make abuse` shows it. */
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
