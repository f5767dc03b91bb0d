/**
 * Keeps a service's device proving without a pause, for as long as a measurement needs. Two nodes
 * submit, so that the next proof is queued before the running one ends.
 */
import { setTimeout as pause } from "node:timers/promises";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { DeviceState, Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { PROVABLE, provableGroup, snapshotOf } from "./inputs.js";

/** Raw signatures of each proof, which takes about 2 s on two cores. */
const RAWS = 64;
const PROVING_POLL_MS = 20;
const BUDGETS = { deadlineMs: 60_000, fenceMs: 120_000 };

class ProofLoad {
  private isStopping = false;
  private readonly running: Promise<void>;

  private constructor(private readonly client: AggregatorClient) {
    this.running = Promise.all(PROVABLE.map((vector) => this.keepProving(vector))).then(() => {});
    // If the load fails, `stop` rejects. Before that, the rejection must not end the process.
    this.running.catch(() => undefined);
  }

  /** Starts the load, and resolves once the device proves. */
  static async start(address: string): Promise<ProofLoad> {
    const client = new AggregatorClient({ address });
    const load = new ProofLoad(client);
    const isProving = async () =>
      (await client.getServerInfo()).devices.some(({ state }) => state === DeviceState.PROVING);
    while (!(await isProving())) await pause(PROVING_POLL_MS);
    return load;
  }

  /** Ends the load, and resolves once its last proof has ended. Rejects if one was not proved. */
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
      const { requestId } = result.value;
      const { session } = await this.client.getSession({ node, requestId, waitMs: 60_000 });
      if (session?.summary?.proved !== 1) throw new Error("load was not proved");
    }
  }
}

/** Calls `run` while the service proves, then waits until the load's last proof has ended. */
export async function whileProving<T>(address: string, run: () => Promise<T>): Promise<T> {
  const load = await ProofLoad.start(address);
  try {
    return await run();
  } finally {
    await load.stop();
  }
}
