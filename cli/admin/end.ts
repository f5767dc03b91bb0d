/** `lean-aggregator admin end`: ends a session of any node. */
import type { Command } from "commander";
import type { EndSessionResponse } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { ending, exitCodes } from "../io/command.js";
import type { AdminModules, AdminOptions } from "./ask.js";
import { addAdminCommand, ask } from "./ask.js";

const help = `
Its groups end as if its node had cancelled it: queued ones as not_started,
running ones as stopped, and their prover is killed. The node gets these
outcomes on its stream.

Examples:
  lean-aggregator admin end 0f1e2d3c4b5a6978
`;

export function addEndCommand(admin: Command, modules: AdminModules): void {
  addAdminCommand(admin, "end", { summary: "end a session of any node", help })
    .argument("<session>", "its id in 'admin sessions'")
    .action(
      ending(modules, async (sessionId: string, options: AdminOptions) => {
        const text = (response: EndSessionResponse) =>
          `session ${sessionId} ${endText(response)}\n`;
        await ask("endSession", { sessionId }, text, options, modules.terminal);
        return exitCodes.ok;
      }),
    );
}

function endText({ runningGroupsEnded, queuedGroupsEnded }: EndSessionResponse): string {
  if (runningGroupsEnded + queuedGroupsEnded === 0) return "had ended already";
  return `ended: ${runningGroupsEnded} running and ${queuedGroupsEnded} queued groups`;
}
