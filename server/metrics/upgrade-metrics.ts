/** The metrics of an upgrade of the default proof system. */
import { shadowResults, upgradeStates } from "../reasons.js";
import type { MetricTable } from "./metric-table.js";

export const upgradeMetrics = {
  upgrade: {
    kind: "gauge",
    name: "upgrade",
    help: "1 for the state that the upgrade of the default proof system is in, else 0; no series without the setting `upgrade`",
    labels: { state: upgradeStates },
    start: "absent",
  },
  shadowProofs: {
    kind: "counter",
    name: "shadow_proofs_total",
    help: "Proofs that the next revision made again before its slot, for nobody, by how they ended; `differs`: it does not take the same inputs",
    labels: { result: shadowResults },
  },
} as const satisfies MetricTable;
