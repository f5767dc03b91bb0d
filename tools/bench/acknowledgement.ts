/**
 * Measures how long the service takes to answer the submission of a 1 MB snapshot, idle and during
 * a proof. The request is encoded beforehand; the time is from writing it to its answer. Blocks of
 * submissions to the idle and to the busy service alternate.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import {
  AggregatorService,
  Priority,
  SubmitSnapshotRequestSchema,
  SubmitSnapshotResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { SubmitSnapshotResponse } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { unprovableSnapshot } from "./inputs.js";
import type { Measurement } from "./measurement.js";
import { whileProving } from "./proof-load.js";
import { withService } from "./with-service.js";
import type { BenchService } from "./with-service.js";
import { quantile } from "./statistics.js";

const BYTES = 1_000_000;
const BLOCKS = 4;
const WARM_UP = 20;
const GOAL_BUSY_OVER_IDLE = 2.5;
const NODE = { nodeId: "ack", nodeEpoch: 1n };
const PATH = `/${AggregatorService.typeName}/${AggregatorService.method.submitSnapshot.name}`;

export const acknowledgement: Measurement = {
  name: "ack",
  seconds: ({ acks }) => 30 + acks * 0.15,
  run: ({ acks }, progress) =>
    withService(async (service) => {
      const node = new Submitter(service.address);
      const idle = new Samples(service);
      const busy = new Samples(service);
      const block = Math.ceil(acks / BLOCKS);
      for (let i = 0; i < WARM_UP; i++) await node.submit("wait");
      for (let i = 1; i <= BLOCKS; i++) {
        await idle.add(block, () => node.submit("wait"));
        // Cancelled, as the session stays queued behind the load and the next one would be skipped.
        await whileProving(service.address, () => busy.add(block, () => node.submit("cancel")));
        progress(`${i * block} of ${BLOCKS * block}, idle and busy`);
      }
      node.close();
      const rows = [
        { state: "idle", ...idle.row() },
        { state: "proving", ...busy.row() },
      ];
      const what = "busy p99 over idle p99";
      const value = busy.p99Ms / idle.p99Ms;
      const goals = [{ what, value, atMost: GOAL_BUSY_OVER_IDLE, unit: "" }];
      return { title: `acknowledgement of a ${BYTES / 1e6} MB snapshot`, rows, goals, notes: [] };
    }),
};

/** Durations in one state, idle or busy, and the processor time that the server used meanwhile. */
export class Samples {
  private readonly tookMs: number[] = [];
  private serverCpuSeconds = 0;

  constructor(private readonly service: BenchService) {}

  async add(count: number, sample: () => Promise<number>): Promise<void> {
    const before = await this.cpuSeconds();
    for (let i = 0; i < count; i++) this.tookMs.push(await sample());
    this.serverCpuSeconds += (await this.cpuSeconds()) - before;
  }

  get p99Ms(): number {
    return quantile(this.tookMs, 0.99);
  }

  row() {
    return {
      samples: this.tookMs.length,
      ackP50Ms: quantile(this.tookMs, 0.5),
      ackP99Ms: this.p99Ms,
      ackMaxMs: Math.max(...this.tookMs),
      serverCpuPerSessionMs: (this.serverCpuSeconds * 1000) / this.tookMs.length,
    };
  }

  private async cpuSeconds(): Promise<number> {
    return (
      (await this.service.metrics()).get("lean_aggregator_server_process_cpu_seconds_total") ?? NaN
    );
  }
}

/** One node that submits the same snapshot again and again, each time as a new request. */
export class Submitter {
  private readonly raw: Client;
  private readonly client: AggregatorClient;
  private readonly encoded: Buffer;
  private requests = 0;

  constructor(address: string) {
    this.client = new AggregatorClient({ address });
    this.raw = new Client(address, credentials.createInsecure());
    const snapshot = unprovableSnapshot(BYTES);
    const budgets = { deadlineMs: 60_000, fenceMs: 120_000 };
    const request = { node: NODE, snapshot, priority: Priority.BACKLOG, ...budgets };
    // Protobuf merges two encodings of a message one after the other. So the id is at the end.
    this.encoded = Buffer.concat([encode(request), encode({ requestId: requestId(0) })]);
  }

  /**
   * Submits the snapshot, waits until its session has ended or cancels it, and resolves with the
   * milliseconds that the answer took.
   */
  async submit(then: "wait" | "cancel"): Promise<number> {
    // In place: allocating a megabyte for each would cause garbage collection in the time measured.
    const id = requestId(++this.requests);
    this.encoded.write(id, this.encoded.length - id.length);
    const startedMs = performance.now();
    const { result } = await this.call();
    const tookMs = performance.now() - startedMs;
    if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail}`);
    if (then === "cancel") await this.client.cancelSession({ node: NODE, requestId: id });
    await this.client.getSession({ node: NODE, requestId: id, waitMs: 60_000 });
    return tookMs;
  }

  close(): void {
    this.raw.close();
    this.client.close();
  }

  private call(): Promise<SubmitSnapshotResponse> {
    return new Promise((resolve, reject) => {
      this.raw.makeUnaryRequest(
        PATH,
        (encoded: Buffer) => encoded,
        (answer: Buffer) => fromBinary(SubmitSnapshotResponseSchema, answer),
        this.encoded,
        (error, response) => {
          if (response === undefined) reject(error ?? new Error("no answer"));
          else resolve(response);
        },
      );
    });
  }
}

/** A request id of 8 digits, so that all have the same length. */
function requestId(count: number): string {
  return count.toString().padStart(8, "0");
}

function encode(request: Parameters<typeof create<typeof SubmitSnapshotRequestSchema>>[1]) {
  return toBinary(SubmitSnapshotRequestSchema, create(SubmitSnapshotRequestSchema, request));
}
