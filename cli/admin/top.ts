/** `lean-aggregator admin top`: what the live page shows, in a terminal. */
import { toJson } from "@bufbuild/protobuf";
import type { Command } from "commander";
import { streamActivity } from "../../client/rpc/operator-client.js";
import { ActivityModel } from "../../page/model/activity-model.js";
import { answerOf } from "../../page/model/answer.js";
import { StreamActivityResponseSchema } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { callError } from "../io/call-error.js";
import { addCommand, ending, exitCodes } from "../io/command.js";
import { tokenOf, tokenOption } from "../io/connect.js";
import type { Screen } from "../io/screen.js";
import type { AdminModules } from "./ask.js";
import { serverOption } from "./ask.js";
import { topLines } from "./top-text.js";

const help = `
Redraws the screen while things happen; q or Ctrl-C ends it. Without a terminal,
and with --once, it prints the state of the moment once.

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
const [ENTER, LEAVE] = ["\u001b[?1049h\u001b[?25l", "\u001b[?25h\u001b[?1049l"];
const [HOME, CLEAR_LINE, CLEAR_REST] = ["\u001b[H", "\u001b[K", "\u001b[J"];

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
  const model = new ActivityModel();
  const stream = streamActivity(options.server, {
    ...(token !== undefined && { token }),
    noFollow: screen === undefined,
    signal: ended.signal,
  });
  const leave = screen === undefined ? () => undefined : enter(screen, ended, terminal);
  try {
    for await (const answer of stream) {
      model.take(answerOf(toJson(StreamActivityResponseSchema, answer)));
      if (screen !== undefined) terminal.out(frameOf(model, answer.nowMs, screen));
    }
  } catch (error) {
    throw await callError(error, { server: options.server }, "operator");
  } finally {
    leave();
  }
  if (screen === undefined) {
    const lines = topLines(model, model.last?.nowMs ?? 0, WIDTH_WITHOUT_SCREEN);
    terminal.out(`${lines.join("\n")}\n`);
  }
  return exitCodes.ok;
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

/** Writes over the frame before, line by line: a cleared screen would flicker. */
function frameOf(model: ActivityModel, nowMs: number, screen: Screen): string {
  const { columns, rows } = screen.size();
  const lines = topLines(model, nowMs, columns).slice(0, rows - 1);
  return HOME + lines.map((line) => `${line}${CLEAR_LINE}\r\n`).join("") + CLEAR_REST;
}
