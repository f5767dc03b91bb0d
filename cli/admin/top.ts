/** `lean-aggregator admin top`: what the live page shows, in a terminal. */
import { setTimeout as delay } from "node:timers/promises";
import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { AggregatorError, isFinal } from "../../client/errors.js";
import { streamActivity } from "../../client/rpc/operator-client.js";
import { Silence } from "../../client/rpc/silence.js";
import type { TokenSource } from "../../client/rpc/token.js";
import { ActivityModel } from "../../page/model/activity-model.js";
import { answerOf } from "../../page/model/answer.js";
import type { StreamActivityResponse } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { StreamActivityResponseSchema } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { callError } from "../io/call-error.js";
import { addCommand, ending, exitCodes } from "../io/command.js";
import { tokenOf, tokenOption } from "../io/connect.js";
import type { Screen } from "../io/screen.js";
import type { AdminModules } from "./ask.js";
import { serverOption } from "./ask.js";
import { topLines } from "./top-text.js";

const help = `
Redraws the screen while things happen; q or Ctrl-C ends it. After a broken
connection, or 5 s of silence, its first line says so, and it reconnects. Without a
terminal, and with --once, it prints the state of the moment once.

'busy' is the share of the last minute in which a device worked. 'share' is a node's
part of the prover time used lately: the node that has used less comes first.
The same in a browser: http:// and the address of --admin, such as
http://127.0.0.1:9192/

Examples:
  lean-aggregator admin top
  lean-aggregator admin top --once

Exit codes:
  0  ended by q or Ctrl-C, or printed once
  1  the service failed, refused the request or cannot be reached
  2  a flag is wrong
`;

const WIDTH_WITHOUT_SCREEN = 100;
/** The service answers at least each second; after this it hangs, or the connection is dead. */
const SILENCE_MS = 5000;
const RECONNECT_MS = 1000;
const [ENTER, LEAVE] = ["\u001b[?1049h\u001b[?25l", "\u001b[?25h\u001b[?1049l"];
const [HOME, CLEAR_LINE, CLEAR_REST] = ["\u001b[H", "\u001b[K", "\u001b[J"];

type Output = Pick<AdminModules["terminal"], "out">;

interface TopOptions {
  server: string;
  tokenFile?: string;
  once?: boolean;
}

export function addTopCommand(admin: Command, modules: AdminModules): void {
  const summary = "watch groups, devices, nodes and skips in the terminal";
  addCommand(admin, "top", { summary, help })
    .addOption(serverOption())
    .addOption(tokenOption())
    .option("--once", "print the state of the moment, and end")
    .action(ending(modules, (options: TopOptions) => topCommand(options, modules)));
}

async function topCommand(options: TopOptions, modules: AdminModules): Promise<number> {
  const { terminal } = modules;
  const screen = options.once === true ? undefined : terminal.screen?.();
  const ended = new AbortController();
  modules.interrupted().addEventListener("abort", () => ended.abort());
  const token = tokenOf(options.tokenFile);
  const source = { server: options.server, ...(token && { token }), signal: ended.signal };
  const leave = screen === undefined ? () => undefined : enter(screen, ended, terminal);
  try {
    if (screen === undefined) await printOnce(source, terminal);
    else await redraw(source, screen, terminal);
    return exitCodes.ok;
  } catch (error) {
    throw await callError(error, { server: options.server }, "operator");
  } finally {
    leave();
  }
}

interface Source {
  server: string;
  token?: TokenSource;
  signal: AbortSignal;
}

async function printOnce(source: Source, terminal: Output): Promise<void> {
  const model = new ActivityModel();
  const take = (answer: StreamActivityResponse) =>
    model.take(answerOf(toJson(StreamActivityResponseSchema, answer)));
  const isSilent = await takeAnswers({ ...source, noFollow: true }, take);
  if (isSilent) throw new AggregatorError("deadline_exceeded", "the service does not answer");
  const lines = topLines(model, model.last?.nowMs ?? 0, WIDTH_WITHOUT_SCREEN);
  terminal.out(`${lines.join("\n")}\n`);
}

/**
 * Draws each answer until `signal` aborts. Rejects when the first connection fails, or the service
 * refuses the call; after another break it says so on the screen and reconnects, for ever.
 */
async function redraw(source: Source, screen: Screen, terminal: Output): Promise<void> {
  const { server, signal } = source;
  const model = new ActivityModel();
  const take = (answer: StreamActivityResponse) => {
    model.take(answerOf(toJson(StreamActivityResponseSchema, answer)));
    terminal.out(frameOf(model, screen));
  };
  while (!signal.aborted) {
    model.streamBegins();
    const { error, isSilent } = await breakOf(source, take);
    if (signal.aborted) return;
    if (model.last === undefined || isFinal(error.kind)) throw error;
    const silent = `nothing has come from ${server} for ${SILENCE_MS / 1000} s`;
    const problem = isSilent ? silent : `connection to ${server} lost`;
    terminal.out(frameOf(model, screen, `${problem}, reconnecting`));
    await delay(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
  }
}

/** Takes the answers of one stream. Resolves with what ended it; `isSilent`: nothing came any more. */
async function breakOf(
  source: Source,
  take: (answer: StreamActivityResponse) => void,
): Promise<{ error: AggregatorError; isSilent: boolean }> {
  try {
    const isSilent = await takeAnswers(source, take);
    const why = isSilent ? "the service does not answer" : "the service has ended the stream";
    return { error: new AggregatorError("unavailable", why), isSilent };
  } catch (cause) {
    if (!(cause instanceof AggregatorError)) throw cause;
    return { error: cause, isSilent: false };
  }
}

/**
 * Takes the answers of one stream until it ends. Resolves with whether it was ended because nothing came
 * any more; rejects with what broke it.
 */
async function takeAnswers(
  { server, signal, ...options }: Source & { noFollow?: boolean },
  take: (answer: StreamActivityResponse) => void,
): Promise<boolean> {
  const silence = new Silence();
  try {
    const either = AbortSignal.any([signal, silence.signal]);
    silence.start(SILENCE_MS);
    for await (const answer of streamActivity(server, { ...options, signal: either })) {
      silence.start(SILENCE_MS);
      take(answer);
    }
  } finally {
    silence.stop();
  }
  return silence.signal.aborted;
}

/** Shows an empty screen, and ends the command at a key; returns what brings back the old screen. */
function enter(
  screen: Screen,
  ended: AbortController,
  terminal: AdminModules["terminal"],
): () => void {
  terminal.out(ENTER);
  const release = screen.onKey((key) => {
    if (key === "q" || key === "Q") ended.abort();
  });
  return () => {
    release();
    terminal.out(LEAVE);
  };
}

/**
 * Writes over the frame before, line by line: a cleared screen would flicker.
 *
 * @param problem why the state is not that of now; empty: it is
 */
function frameOf(model: ActivityModel, screen: Screen, problem = ""): string {
  const { columns, rows } = screen.size();
  const state = topLines(model, model.last?.nowMs ?? 0, columns);
  const lines = [...(problem === "" ? [] : [problem.slice(0, columns), ""]), ...state].slice(
    0,
    rows - 1,
  );
  return HOME + lines.map((line) => `${line}${CLEAR_LINE}\r\n`).join("") + CLEAR_REST;
}
