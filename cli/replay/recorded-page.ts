/**
 * The live page at a loopback address, with the stream of a recording. The stream ends when all is sent;
 * the page plays it. Each browser reads the recording anew.
 */
import { once } from "node:events";
import type { Server } from "node:http";
import { createServer } from "node:http";
import { ConnectError, Code } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { systemClock } from "../../server/clock.js";
import { ListenError, bind } from "../../server/net/bind.js";
import { answerForbidden, hostProblem } from "../../server/net/host-rule.js";
import { peerAt } from "../../server/net/peer.js";
import { readRecording, RecordingError } from "../../server/recording/read-recording.js";
import { LivePage } from "../../server/rpc/pages/live-page.js";
import { CommandError } from "../io/command.js";

export class RecordedPage {
  private constructor(
    /** `host:port`, with the chosen port for port 0. */
    readonly address: string,
    private readonly servers: readonly Server[],
  ) {}

  /** Rejects with `CommandError` when the address cannot be listened on. */
  static async open(folder: string, address: string): Promise<RecordedPage> {
    const servers: Server[] = [];
    const make = () => {
      const server = serverOf(folder, address);
      servers.push(server);
      return server;
    };
    try {
      const { port = 0 } = await bind(address, make);
      return new RecordedPage(address.replace(/:\d+$/, `:${port}`), servers);
    } catch (error) {
      if (!(error instanceof ListenError)) throw error;
      throw new CommandError(`cannot listen on ${address}: ${error.why}`, error.todo, {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    const closed = this.servers.map(async (server) => {
      if (!server.listening) return;
      const gone = once(server, "close");
      server.close();
      server.closeAllConnections();
      await gone;
    });
    await Promise.all(closed);
  }
}

function serverOf(folder: string, address: string): Server {
  const page = new LivePage({ clock: systemClock });
  const peer = peerAt(address, false);
  const calls = connectNodeAdapter({
    routes: (router) => router.rpc(AdminService.method.streamActivity, () => answersIn(folder)),
  });
  return createServer((request, response) => {
    const problem = hostProblem(request, peer, []);
    const [path = ""] = (request.url ?? "").split("?", 1);
    if (problem !== undefined) answerForbidden(request, response, problem);
    else if (page.has(path)) page.answer(path, request, response);
    else calls(request, response);
  });
}

/** What the live page was shown. Throws `ConnectError` when the recording became wrong. */
async function* answersIn(folder: string) {
  try {
    for (const record of readRecording(folder)) {
      if (record.kind === "activity") yield { ...record.answer, recorded: true };
    }
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
    throw new ConnectError(error.message, Code.DataLoss, undefined, undefined, error);
  }
}
