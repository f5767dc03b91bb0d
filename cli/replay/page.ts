/** `lean-aggregator page FOLDER`: shows a recording of `serve --record` in the live page. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { count, msText } from "../../page/model/figures.js";
import { isLocalAddress, readAddress } from "../../proto/address.js";
import type { CommandModules } from "../io/command.js";
import { addCommand, ending, exitCodes } from "../io/command.js";
import { seenIn } from "./recorded.js";

const help = `
FOLDER was written by 'lean-aggregator serve --record FOLDER', with either content.
The page shows groups, devices, nodes, costs and skips as it did while it was live:
play it at 0.25 to 60 times its speed, jump to a slot or any instant, and stop it.
? in the page lists the keys.

The page is for the browsers of this machine: --listen takes loopback addresses only.
It holds no signature, key or proof, also where the recording does.

Examples:
  lean-aggregator page recording
  lean-aggregator page recording --listen 127.0.0.1:9193

Exit codes:
  0  ended by Ctrl-C
  1  the address cannot be listened on
  2  a flag or FOLDER is wrong
`;

export function addPageCommand(program: Command, modules: CommandModules): void {
  const summary = "show a recording of 'serve --record' in the live page";
  addCommand(program, "page", { summary, help })
    .argument("<folder>", "the folder of the recording")
    .addOption(
      new Option("--listen <address>", "loopback host:port of the page; port 0: a free one")
        .argParser(listenAddress)
        .default("127.0.0.1:0"),
    )
    .action(
      ending(modules, (folder: string, { listen }: { listen: string }) =>
        pageCommand(folder, listen, modules),
      ),
    );
}

function listenAddress(text: string): string {
  const address = readAddress(text);
  if (address.kind === "problem") throw new InvalidArgumentError(address.text);
  if (address.kind === "unix" || !isLocalAddress(address)) {
    throw new InvalidArgumentError("Expected a loopback address, such as 127.0.0.1:9193.");
  }
  return text;
}

async function pageCommand(
  folder: string,
  listen: string,
  { terminal, interrupted }: Pick<CommandModules, "terminal" | "interrupted">,
): Promise<number> {
  const { service, runs, activities, durationMs } = seenIn(folder);
  const ended = interrupted();
  // A server takes 100 ms to load, which no other command should wait for.
  const { RecordedPage } = await import("./recorded-page.js");
  const page = await RecordedPage.open(folder, listen);
  const what = `${count(runs, "run")} of ${service}, ${msText(durationMs)}`;
  terminal.err(`${what}, ${activities} activities; Ctrl-C ends the page\n`);
  terminal.out(`http://${page.address}/\n`);
  if (!ended.aborted) {
    await new Promise((resolve) => ended.addEventListener("abort", resolve, { once: true }));
  }
  await page.close();
  return exitCodes.ok;
}
