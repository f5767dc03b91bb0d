/**
 * `lean-aggregator health`: one gRPC health check, for container platforms without gRPC probes.
 * Every caller may make that check, whatever the policy, so the command sends no token.
 */
import type { Client } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import type { Command } from "commander";
import { encodeRequest, pathOf, responseDecoder } from "../client/rpc/method-codec.js";
import { callUnary } from "../client/rpc/unary-call.js";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../proto/gen/grpc/health/v1/health_pb.js";
import { callError } from "./io/call-error.js";
import type { CommandModules, Terminal } from "./io/command.js";
import { addCommand, ending, exitCodes } from "./io/command.js";
import type { ConnectOptions } from "./io/connect.js";
import { addConnectOptions, connectChannel } from "./io/connect.js";

const help = `
Makes one gRPC health check and prints its status, SERVING or NOT_SERVING.
NOT_SERVING is normal while the service starts, drains or has no ready prover:
send it no snapshots then. Restart a service only when 'health --live' fails.

Examples:
  lean-aggregator health
  lean-aggregator health --live --server unix:/run/lean-aggregator/nodes.sock

Exit codes:
  0  SERVING; with --live: the service answered
  1  not SERVING, or the service cannot be reached
  2  a flag is wrong
`;

const CALL_TIMEOUT_MS = 3000;

export interface HealthOptions extends ConnectOptions {
  /** Succeed whenever the service answers, even with NOT_SERVING. */
  live?: boolean;
}

export function addHealthCommand(program: Command, modules: CommandModules): void {
  const summary = "make one gRPC health check, for container probes";
  addConnectOptions(addCommand(program, "health", { summary, help }))
    .option("--live", "succeed whenever the service answers, even with NOT_SERVING")
    .action(ending(modules, (options: HealthOptions) => healthCommand(options, modules.terminal)));
}

export async function healthCommand(
  options: HealthOptions,
  terminal: Pick<Terminal, "out">,
): Promise<number> {
  const { live = false } = options;
  const client = connectChannel(options);
  try {
    const status = await check(client);
    terminal.out(`${status}\n`);
    return live || status === "SERVING" ? exitCodes.ok : exitCodes.error;
  } catch (error) {
    throw await callError(error, options);
  } finally {
    client.close();
  }
}

/** Resolves with a status of grpc.health.v1, such as `SERVING` or `NOT_SERVING`. */
function check(client: Client): Promise<string> {
  const method = Health.method.check;
  const decode = responseDecoder(method);
  const call = {
    path: pathOf(method),
    request: encodeRequest(method, {}),
    decode: (response: Buffer) => ServingStatus[decode(response).status],
    metadata: new Metadata(),
  };
  return callUnary(client, call, { timeoutMs: CALL_TIMEOUT_MS });
}
