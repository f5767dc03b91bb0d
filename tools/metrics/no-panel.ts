/** Why a metric has no panel of the dashboard. Every other metric has one, and the tests hold it so. */
const reasons: readonly (readonly [names: RegExp, reason: string])[] = [
  [
    /_server_nodejs_(?!eventloop_lag_p99)|_server_process_(?!resident_memory|start_time)/,
    "of Node.js, to look up by hand",
  ],
  [/_server_device_info$/, "a name, to join with"],
  [/_server_(draining|unix_time_seconds)$/, "an alert reads it"],
  [
    /_server_lane_host_(?!engine_up|faults)/,
    "a lane host's own view; the services show the same in their row",
  ],
  [/_server_fleet_(kept|sent|received)_bytes/, "the engine's own dashboard shows its traffic"],
  [/_server_fleet_lanes$/, "counted by lane host in a panel"],
  [/_server_fleet_proofs_verified_total$/, "their count is that of the time in a panel"],
  [/_server_valid_(proofs|signatures)_total$/, "the rest of those rejected, which have a panel"],
  [/_server_refresh_seconds_total$/, "their number has a panel"],
  [/_aggregator_(merges|resubmitted|skip|votes)_total$/, "the service shows it for all its nodes"],
];

/** Undefined for a metric that should have a panel. */
export function whyNoPanel(metric: string): string | undefined {
  return reasons.find(([names]) => names.test(metric))?.[1];
}
