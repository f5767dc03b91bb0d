/**
 * Entry of the steady client: `node steady-process.js GRPC HTTP`, forked by `steady-client.ts`. In
 * a process of its own, the work of the attacker and the server does not delay its timing. After
 * the message `start` it calls one listener at a steady pace; after `stop` it reports how long each
 * call took. GRPC and HTTP are the listeners' addresses.
 */
import { Agent, request } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { create, toJsonString } from "@bufbuild/protobuf";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSnapshot } from "../../harness/fake-snapshots.js";
import { pathOf } from "../../harness/wire/raw-grpc.js";
import type { ListenerName, Samples } from "./steady-client.js";

const PACE_MS = 5;
/** One call in so many submits a snapshot; the others ask for `GetServerInfo`. */
const SUBMIT_EVERY = 7;
/** After so many calls comes one on a new connection. */
const NEWCOMER_EVERY = 10;
const LATE_MS = 2000;

const snapshotOf = (nodeId: string) =>
  create(SubmitSnapshotRequestSchema, {
    node: { nodeId, nodeEpoch: 1n },
    snapshot: fakeSnapshot(1),
  });

interface Caller {
  info(): Promise<unknown>;
  submit(): Promise<unknown>;
  close(): void;
}

function grpcCaller(address: string): Caller {
  const client = new AggregatorClient({ address });
  const snapshot = snapshotOf("steady-grpc");
  return {
    info: () => client.getServerInfo({}, { timeoutMs: LATE_MS }),
    submit: () => client.submitSnapshot(snapshot, { timeoutMs: LATE_MS }),
    close: () => client.close(),
  };
}

/** A caller that uses the Connect protocol in JSON, over HTTP/1.1. */
function httpCaller(address: string): Caller {
  const snapshot = toJsonString(SubmitSnapshotRequestSchema, snapshotOf("steady-http"));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const post = (method: string, body: string) =>
    new Promise((resolve, reject) => {
      const headers = { "content-type": "application/json" };
      const url = `http://${address}${pathOf(method)}`;
      const call = request(url, { agent, method: "POST", headers, timeout: LATE_MS });
      call.on("timeout", () => call.destroy(new Error("late"))).on("error", reject);
      call.on("response", (response) => {
        response.resume().on("end", () => {
          if (response.statusCode === 200) resolve(undefined);
          else reject(new Error(`status ${String(response.statusCode)}`));
        });
      });
      call.end(body);
    });
  return {
    info: () => post("GetServerInfo", "{}"),
    submit: () => post("SubmitSnapshot", snapshot),
    close: () => agent.destroy(),
  };
}

async function timed(times: number[], failures: string[], call: () => Promise<unknown>) {
  const startedMs = performance.now();
  try {
    await call();
    times.push(performance.now() - startedMs);
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
}

async function main(grpc: string, http: string): Promise<void> {
  const make = { grpc: () => grpcCaller(grpc), http: () => httpCaller(http) };
  const callers = { grpc: make.grpc(), http: make.http() };
  for (const caller of Object.values(callers)) await caller.info();
  let isStopped = true;
  process.on("disconnect", () => process.exit());
  process.on("message", (message: { start?: ListenerName }) => {
    isStopped = message.start === undefined;
    if (message.start !== undefined) void run(message.start);
  });
  process.send?.("ready");

  async function run(listener: ListenerName): Promise<void> {
    const result: Samples = { callMs: [], newcomerMs: [], failures: [], newcomerFailures: [] };
    for (let count = 1; !isStopped; count++) {
      const caller = callers[listener];
      const isSubmission = count % SUBMIT_EVERY === 0;
      await timed(result.callMs, result.failures, isSubmission ? caller.submit : caller.info);
      if (count % NEWCOMER_EVERY === 0) {
        const newcomer = make[listener]();
        await timed(result.newcomerMs, result.newcomerFailures, newcomer.info);
        newcomer.close();
      }
      await pause(PACE_MS);
    }
    process.send?.(result);
  }
}

const [, , grpc = "", http = ""] = process.argv;
await main(grpc, http);
