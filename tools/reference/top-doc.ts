/** The picture of `admin top` in docs/operate/live-page.md, from a made-up minute of four nodes. */
import { readFileSync } from "node:fs";
import { topLines } from "../../cli/admin/top-text.js";
import { ActivityModel } from "../../page/model/activity-model.js";
import { answerOf } from "../../page/model/answer.js";

export const TOP_DOCUMENT = "docs/operate/live-page.md";
const [SLOTS, SLOT_MS, NOW_MS] = [4, 4000, 14_410];

function slotActivities(slot: number): object[] {
  const fromMs = slot * SLOT_MS;
  return [32, 24, 16, 48].flatMap((votes, at) => {
    const [sessionId, startMs, deviceId] = [
      `${slot}-${at}`,
      fromMs + at * 700,
      `cpu-${at % 2 ? "b" : "a"}`,
    ];
    const [attempt, endMs] = [slot * 4 + at + 1, startMs + 300 + 12 * votes];
    const times = { receivedAtMs: fromMs, deadlineAtMs: fromMs + 2400, fenceAtMs: fromMs + 4800 };
    const who = { sessionId, nodeId: `beam-${at + 1}`, slot: `${101 + slot}`, ...times };
    const status = at === 3 && slot === 1 ? "OUTCOME_STATUS_PROVED_LATE" : "OUTCOME_STATUS_PROVED";
    const all = [
      { atMs: fromMs, accepted: { ...who, groups: [{ votes, rawSignatures: votes }] } },
      { atMs: startMs, started: { sessionId, attempt, deviceId } },
      {
        atMs: startMs,
        lane: { deviceId, state: "DEVICE_STATE_PROVING", attempt, proof: { rawSignatures: votes } },
      },
      { atMs: endMs, ended: { sessionId, status, votes: { proved: [votes] } } },
      { atMs: endMs, lane: { deviceId, state: "DEVICE_STATE_IDLE" } },
    ];
    return all.filter(({ atMs }) => atMs <= NOW_MS);
  });
}

const device = (deviceId: string, cores: string, state: string, rest: object = {}) => {
  const provers = [{ residentBytes: "2100000000" }];
  return { cores, status: { deviceId, state: `DEVICE_STATE_${state}`, provers, ...rest } };
};

function minute(): ActivityModel {
  const model = new ActivityModel();
  model.take(
    answerOf({
      ...{ nowMs: NOW_MS, run: "one", serviceId: "aggregator-1" },
      activities: Array.from({ length: SLOTS }, (_, slot) => slotActivities(slot)).flat(),
      status: { state: "SERVICE_STATE_READY" },
      devices: [
        device("cpu-a", "0-3", "IDLE"),
        device("cpu-b", "4-7", "PROVING", {
          running: { proof: { runningMs: 310, predictedMs: 876 } },
        }),
      ],
      nodes: [1, 2, 3, 4].map((at) => ({ nodeId: `beam-${at}`, usedMs: 100 + 40 * at })),
    }),
  );
  return model;
}

/** The whole document, with the picture as `admin top` draws it now. */
export function topDocument(): string {
  const lines = topLines(minute(), NOW_MS, 110).map((line) => `    ${line}`.trimEnd());
  const parts = readFileSync(TOP_DOCUMENT, "utf8").split(/<!-- top: begin -->|<!-- top: end -->/);
  const [before = "", , after] = parts;
  if (after === undefined) throw new Error(`${TOP_DOCUMENT} has no place for the picture`);
  const picture = `<!-- top: begin -->\n\n${lines.join("\n")}\n\n<!-- top: end -->`;
  return `${before}${picture}${after}`;
}
