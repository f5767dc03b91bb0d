/**
 * Measures how soon a device proves again after its prover was killed during a proof, with a
 * standby and without, and how much memory the killed prover had. Also reports the memory of a
 * standby.
 */
import { setTimeout as pause } from "node:timers/promises";
import { callAdmin } from "../../client/rpc/operator-client.js";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import type { DeviceStatus } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { ProverRole } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { DeviceState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { residentOf } from "../harness/processes/processes.js";
import { child, dataOf, raw } from "../harness/vectors.js";
import type { GroupInit } from "../harness/vectors.js";
import { provableGroup, snapshotOf } from "./inputs.js";
import type { Measurement } from "./measurement.js";
import type { Goal, Row } from "./report.js";
import { withService } from "./with-service.js";
import type { BenchService } from "./with-service.js";
import { quantile } from "./statistics.js";

const KILLS = 5;
const KILLS_COLD = 2;
const NODE = { nodeId: "recovery", nodeEpoch: 1n };
const BUDGETS = { deadlineMs: 60_000, fenceMs: 120_000 };
/**
 * The goal with a standby: so many milliseconds, and more for each GB that the killed prover had.
 */
const GOAL_MS = 100;
const GOAL_MS_PER_GB = 250;
const POLL_MS = 2;
/** Time limit of a wait for the device, in milliseconds: two cold setups on a loaded machine. */
const WAIT_MS_MAX = 60_000;

/**
 * The proofs whose prover is killed, once it has proved for `afterMs`. Children need more memory.
 * Each kill has another input, as the service sets aside an input that has ended two provers.
 */
const SHAPES: readonly { name: string; group: (kill: number) => GroupInit; afterMs: number }[] = [
  { name: "about 60 raws", group: (kill) => provableGroup(0, 64 - kill), afterMs: 300 },
  {
    name: "two children and a raw",
    group: (kill) => ({
      data: dataOf(0),
      rawSignatures: [raw(0, 40 + kill)],
      children: [child(0), child(1)],
    }),
    afterMs: 1200,
  },
];

export const recovery: Measurement = {
  name: "recovery",
  seconds: () => SHAPES.length * (KILLS + KILLS_COLD) * 10,
  run: async (_options, progress) => {
    const warm = await measure(1, KILLS, progress);
    const cold = await measure(0, KILLS_COLD, progress);
    const goals = warm.rows.map((row): Goal => ({
      what: `back with a standby, killed at ${row.shape}`,
      value: row.backP50Ms,
      atMost: GOAL_MS + GOAL_MS_PER_GB * row.heldGb,
      unit: " ms",
    }));
    const notes = [
      "From SIGKILL to the start of the next proof, its inputs verified again: medians.",
      `A standby that waits holds ${Math.round(warm.standbyMb)} MB.`,
    ];
    return { title: "back after a kill", rows: [...warm.rows, ...cold.rows], goals, notes };
  },
};

interface RecoveryRow extends Row {
  shape: string;
  standbys: number;
  kills: number;
  heldGb: number;
  backP50Ms: number;
  backMaxMs: number;
}

async function measure(standbys: 0 | 1, kills: number, progress: (line: string) => void) {
  return withService(
    async (service) => {
      const client = new AggregatorClient({ address: service.address });
      const rows: RecoveryRow[] = [];
      let standbyMb = 0;
      for (const { name, group, afterMs } of SHAPES) {
        const samples = [];
        for (let i = 0; i < kills; i++) {
          const device = await untilDevice(service, isSetUp(standbys));
          standbyMb ||= Number(proverOf(device, ProverRole.STANDBY)?.residentBytes ?? 0n) / 1e6;
          samples.push(await killOnce(service, client, group(i), afterMs));
          progress(`${name}, ${standbys} standby, ${i + 1} of ${kills} kills`);
        }
        const backMs = samples.map((sample) => sample.backMs);
        rows.push({
          shape: name,
          standbys,
          kills,
          heldGb: quantile(
            samples.map(({ heldGb }) => heldGb),
            0.5,
          ),
          backP50Ms: quantile(backMs, 0.5),
          backMaxMs: Math.max(...backMs),
        });
      }
      client.close();
      return { rows, standbyMb };
    },
    ["--standby", String(standbys)],
  );
}

/**
 * Kills the prover during a proof, and measures the milliseconds until the next proof starts. That
 * is the same input, which the service tries again by itself.
 */
async function killOnce(
  service: BenchService,
  client: AggregatorClient,
  group: GroupInit,
  afterMs: number,
): Promise<{ heldGb: number; backMs: number }> {
  const request = { node: NODE, snapshot: snapshotOf([group]), ...BUDGETS };
  const { result } = await client.submitSnapshot(request);
  if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail ?? ""}`);
  const runsLong = ({ running }: DeviceStatus) => (running?.proof?.runningMs ?? 0) >= afterMs;
  const device = await untilDevice(service, runsLong);
  const pid = proverOf(device, ProverRole.ACTIVE)?.pid;
  if (pid === undefined) throw new Error("the proving prover has no process");
  const first = device.running?.attempt ?? 0;
  const heldGb = residentOf(pid).now / 1e9;
  const killedAtMs = performance.now();
  process.kill(pid, "SIGKILL");
  const again = await untilDevice(service, ({ running }) => {
    return (running?.attempt ?? 0) > first && running?.proof !== undefined;
  });
  const backMs = performance.now() - killedAtMs - (again.running?.proof?.runningMs ?? 0);
  const { requestId } = result.value;
  await client.cancelSession({ node: NODE, requestId });
  return { heldGb, backMs };
}

function isSetUp(standbys: number): (device: DeviceStatus) => boolean {
  return ({ state, provers }) =>
    state === DeviceState.IDLE && provers.filter(({ ready }) => ready).length === 1 + standbys;
}

function proverOf({ provers }: DeviceStatus, role: ProverRole) {
  return provers.find((prover) => prover.role === role);
}

async function untilDevice(
  service: BenchService,
  holds: (device: DeviceStatus) => boolean,
): Promise<DeviceStatus> {
  const untilMs = performance.now() + WAIT_MS_MAX;
  while (performance.now() < untilMs) {
    const { devices } = await callAdmin(service.operatorAddress, "listProvers", {});
    const found = devices.find(holds);
    if (found !== undefined) return found;
    await pause(POLL_MS);
  }
  throw new Error(`the device did not get there within ${WAIT_MS_MAX} ms`);
}
