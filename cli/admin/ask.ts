/**
 * Makes one call to the operator's listener, and has the flags that every `admin` command takes.
 */
import { toJsonString } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { Option } from "commander";
import type { AdminMethod, AdminRequest, AdminResponse } from "../../client/rpc/operator-client.js";
import { callAdmin } from "../../client/rpc/operator-client.js";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { callError } from "../io/call-error.js";
import type { CommandModules, CommandTexts, Terminal } from "../io/command.js";
import { addCommand } from "../io/command.js";
import { serverAddress, tokenOf, tokenOption } from "../io/connect.js";

/** The service waits 5 s for a lane to confirm a command, and then says that it has not. */
const CALL_TIMEOUT_MS = 7000;

export type AdminModules = Pick<CommandModules, "exit" | "interrupted"> & {
  terminal: Pick<Terminal, "out" | "screen">;
};

export interface AdminOptions {
  /** Address of the operator's listener. */
  server: string;
  tokenFile?: string;
  /** Print the whole response as JSON. */
  json?: boolean;
}

/** Adds a command with the flags of `AdminOptions`. */
export function addAdminCommand(admin: Command, name: string, texts: CommandTexts): Command {
  return addCommand(admin, name, texts)
    .addOption(serverOption())
    .addOption(tokenOption())
    .option("--json", "print the whole response as JSON");
}

/**
 * Makes the call, prints the response as `text` formats it or as JSON with every field, and returns
 * it. Rejects with `CommandError` when the call fails.
 */
export async function ask<M extends AdminMethod>(
  method: M,
  request: AdminRequest<M> & { waitMs?: number },
  text: (response: AdminResponse<M>) => string,
  { server, tokenFile, json = false }: AdminOptions,
  terminal: Pick<Terminal, "out">,
): Promise<AdminResponse<M>> {
  const token = tokenOf(tokenFile);
  const timeoutMs = CALL_TIMEOUT_MS + (request.waitMs ?? 0);
  const response = await callAdmin(server, method, request, {
    timeoutMs,
    ...(token && { token }),
  }).catch(async (thrown: unknown) => {
    throw await callError(thrown, { server }, "operator");
  });
  const schema = AdminService.method[method].output;
  const raw = () => toJsonString(schema, response, { prettySpaces: 2, alwaysEmitImplicit: true });
  terminal.out(json ? `${raw()}\n` : text(response));
  return response;
}

/** Where the address of the operator's listener comes from without a flag. */
export const OPERATOR_SERVER = { variable: "LEAN_AGGREGATOR_ADMIN", address: "127.0.0.1:9192" };

export const serverOption = () =>
  new Option("--server <address>", "the service's --admin address: host:port or unix:/path")
    .env(OPERATOR_SERVER.variable)
    .default(OPERATOR_SERVER.address)
    .argParser(serverAddress);
