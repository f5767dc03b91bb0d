/** `lean-aggregator admin`: what the operator asks of a running service, and how it is told. */
import { toJsonString } from "@bufbuild/protobuf";
import type {
  DeviceStatus,
  EndSessionResponse,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AdminService, ProverRole } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { DeviceState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdminMethod, AdminRequest, AdminResponse } from "../../client/rpc/operator-client.js";
import { callAdmin } from "../../client/rpc/operator-client.js";
import { AggregatorError } from "../../client/errors.js";
import { proversText, sessionsText } from "./text.js";
import { detailsOf } from "../io/call-error.js";
import { CommandError } from "../io/command.js";
import type { ConnectOptions } from "../io/connect.js";
import { tokenOf } from "../io/connect.js";
import { exitCodes } from "../io/exit-codes.js";
import type { Terminal } from "../io/terminal.js";

const CALL_TIMEOUT_MS = 5000;

/** `server` is the operator's listener. */
export interface AdminOptions extends ConnectOptions {
  /** The raw message instead of words. */
  json?: boolean;
}

export interface DrainOptions extends AdminOptions {
  /** Milliseconds to wait for the device to be quiet. Default: none. */
  wait?: number;
}

export interface RestartOptions extends AdminOptions {
  /** The standby instead of the prover that proves. */
  standby?: boolean;
}

export type AdminTerminal = Pick<Terminal, "out">;

export async function sessionsCommand(options: AdminOptions, terminal: AdminTerminal) {
  const words = (answer: AdminResponse<"listSessions">) => sessionsText(answer.sessions);
  await ask("listSessions", {}, words, options, terminal);
  return exitCodes.ok;
}

export async function proversCommand(options: AdminOptions, terminal: AdminTerminal) {
  const words = (answer: AdminResponse<"listProvers">) => proversText(answer.devices);
  await ask("listProvers", {}, words, options, terminal);
  return exitCodes.ok;
}

/** Ends with `error` when the device is still busy after the wait that was asked for. */
export async function drainCommand(
  deviceId: string,
  options: DrainOptions,
  terminal: AdminTerminal,
) {
  const { wait: waitMs = 0 } = options;
  const words = ({ device }: AdminResponse<"drainDevice">) =>
    `device ${deviceId} is drained: no new work starts; ${workText(device)}\n`;
  const request = { deviceId, drained: true, waitMs };
  const { device } = await ask("drainDevice", request, words, options, terminal);
  return waitMs > 0 && isBusy(device) ? exitCodes.error : exitCodes.ok;
}

export async function undrainCommand(
  deviceId: string,
  options: AdminOptions,
  terminal: AdminTerminal,
) {
  const words = () => `device ${deviceId} takes work again\n`;
  await ask("drainDevice", { deviceId, drained: false }, words, options, terminal);
  return exitCodes.ok;
}

export async function restartCommand(
  deviceId: string,
  options: RestartOptions,
  terminal: AdminTerminal,
) {
  const { standby = false } = options;
  const words = ({ device }: AdminResponse<"restartProver">) =>
    `device ${deviceId}: ${standby ? "a fresh standby is on its way" : restartText(device)}\n`;
  const role = standby ? ProverRole.STANDBY : ProverRole.ACTIVE;
  await ask("restartProver", { deviceId, role }, words, options, terminal);
  return exitCodes.ok;
}

export async function endCommand(
  sessionId: string,
  options: AdminOptions,
  terminal: AdminTerminal,
) {
  const words = (answer: EndSessionResponse) => `session ${sessionId} ${endedText(answer)}\n`;
  await ask("endSession", { sessionId }, words, options, terminal);
  return exitCodes.ok;
}

/** Calls, and prints the answer in `words` or as JSON with every field. */
async function ask<M extends AdminMethod>(
  method: M,
  request: AdminRequest<M> & { waitMs?: number },
  words: (answer: AdminResponse<M>) => string,
  { server, tokenFile, json = false }: AdminOptions,
  terminal: AdminTerminal,
): Promise<AdminResponse<M>> {
  const token = tokenOf(tokenFile);
  const timeoutMs = CALL_TIMEOUT_MS + (request.waitMs ?? 0);
  const answer = await callAdmin(server, method, request, {
    timeoutMs,
    ...(token && { token }),
  }).catch((thrown: unknown) => {
    throw failure(AggregatorError.from(thrown), server);
  });
  const schema = AdminService.method[method].output;
  const raw = () => toJsonString(schema, answer, { prettySpaces: 2, alwaysEmitImplicit: true });
  terminal.out(json ? `${raw()}\n` : words(answer));
  return answer;
}

function isBusy(device: DeviceStatus | undefined): boolean {
  return device?.state === DeviceState.PROVING || device?.state === DeviceState.STOPPING;
}

function workText(device: DeviceStatus | undefined): string {
  if (!isBusy(device)) return "nothing runs on it";
  if (device?.running === undefined) return "a prover that was killed still ends";
  return `attempt ${device.running.attempt} still runs`;
}

function restartText(device: DeviceStatus | undefined): string {
  if (device?.restartDue !== true) return "a fresh prover is on its way";
  return `a fresh prover follows once attempt ${device.running?.attempt ?? 0} has ended`;
}

function endedText({ runningGroupsEnded: running, queuedGroupsEnded: queued }: EndSessionResponse) {
  if (running + queued === 0) return "had ended already";
  return `ended: ${running} running and ${queued} queued groups`;
}

/** What a failed call means to the operator. */
function failure(cause: AggregatorError, server: string): CommandError {
  const details = detailsOf(cause);
  const error = (what: string, where: string, todo: string) =>
    new CommandError(what, where, todo, { cause });
  const place = `${server} (${details})`;
  switch (cause.kind) {
    case "unavailable": {
      const todo = "start 'lean-aggregator serve' there, or name its --admin address with --server";
      return error("the operator's listener is not available", place, todo);
    }
    case "deadline_exceeded":
      return error("the service did not answer in time", server, "see its log, then try again");
    case "not_found":
      return error(
        "there is no such thing",
        details,
        "'admin provers' and 'admin sessions' list them",
      );
    case "invalid_argument":
      return error("the service refused the request", details, "mend that and try again");
    case "unsupported": {
      const todo = "name the address of --admin, not those of --listen or --http";
      return error("this is not the operator's listener", place, todo);
    }
    case "unauthorized":
      return error("the service does not let you", place, "check --token-file and its policy");
    case "overloaded":
    case "cancelled":
    case "internal":
      return error("the call failed", place, "see the service's log");
  }
}
