/**
 * `lean-aggregator health`: one gRPC health check, for containers without a probe of their own. A
 * policy leaves that check open to everybody, so this needs no identity.
 */
import type { Client } from "@grpc/grpc-js";
import { Metadata } from "@grpc/grpc-js";
import { service } from "grpc-health-check";
import { z } from "zod";
import { callUnary } from "../client/rpc/unary-call.js";
import { callError } from "./io/call-error.js";
import { connectChannel } from "./io/connect.js";
import type { ConnectOptions } from "./io/connect.js";
import { exitCodes } from "./io/exit-codes.js";
import type { Terminal } from "./io/terminal.js";

const CALL_TIMEOUT_MS = 3000;

const answer = z.object({ status: z.string() });

export interface HealthOptions extends ConnectOptions {
  /** Healthy is whoever answers, serving or not. */
  live?: boolean;
}

export async function healthCommand(
  options: HealthOptions,
  terminal: Pick<Terminal, "out">,
): Promise<number> {
  const { server, live = false } = options;
  const client = connectChannel(options);
  try {
    const status = await check(client);
    terminal.out(`${status}\n`);
    return live || status === "SERVING" ? exitCodes.ok : exitCodes.error;
  } catch (error) {
    throw callError(error, server);
  } finally {
    client.close();
  }
}

/** `SERVING`, `NOT_SERVING` or another word of grpc.health.v1. */
async function check(client: Client): Promise<string> {
  const { Check: method } = service;
  if (method === undefined) throw new Error("grpc-health-check has no Check");
  const call = {
    path: method.path,
    request: method.requestSerialize({}),
    decode: (response: Buffer) => answer.parse(method.responseDeserialize(response)).status,
    metadata: new Metadata(),
  };
  return callUnary(client, call, { timeoutMs: CALL_TIMEOUT_MS });
}
