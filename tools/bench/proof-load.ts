/**
 * Keeps a service's device proving, without a pause, for as long as a measurement needs it busy:
 * two nodes take turns, so that the next proof is queued before the last one ends.
 */
import { setTimeout as pause } from "node:timers/promises";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { DeviceState, Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { PROVABLE, provableGroup, snapshotOf } from "./inputs.js";

/** About 2 s a proof on two cores. */
const RAWS = 64;
const PROVING_POLL_MS = 20;
const BUDGETS = { deadlineMs: 60_000, fenceMs: 120_000 };

class ProofLoad {
  private isStopping = false;
  private readonly running: Promise<void>;

  private constructor(private readonly client: AggregatorClient) {
    this.running = Promise.all(PROVABLE.map((vector) => this.keepProving(vector))).then(() => {});
    // Of a load that fails, `stop` tells; until then it must not end the bench.
    this.running.catch(() => undefined);
  }

  /** Resolves once the device proves. */
  static async start(address: string): Promise<ProofLoad> {
    const client = new AggregatorClient({ address });
    const load = new ProofLoad(client);
    const isProving = async () =>
      (await client.getServerInfo()).devices.some(({ state }) => state === DeviceState.PROVING);
    while (!(await isProving())) await pause(PROVING_POLL_MS);
    return load;
  }

  /** Resolves once the device is idle again. Rejects when anything was not proved. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await this.running.finally(() => this.client.close());
  }

  private async keepProving(vector: number): Promise<void> {
    const node = { nodeId: `load-${vector}`, nodeEpoch: 1n };
    const snapshot = snapshotOf([provableGroup(vector, RAWS)]);
    const request = { node, snapshot, priority: Priority.PROPOSAL, ...BUDGETS };
    while (!this.isStopping) {
      const { result } = await this.client.submitSnapshot(request);
      if (result.case !== "accepted") throw new Error(`load was skipped: ${result.value?.detail}`);
      const { sessionId } = result.value;
      const { session } = await this.client.getSession({ node, sessionId, waitMs: 60_000 });
      if (session?.summary?.proved !== 1) throw new Error("load was not proved");
    }
  }
}

/** Runs while the service proves, and waits until it is idle again. */
export async function whileProving<T>(address: string, run: () => Promise<T>): Promise<T> {
  const load = await ProofLoad.start(address);
  try {
    return await run();
  } finally {
    await load.stop();
  }
}
