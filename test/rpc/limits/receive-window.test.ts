/** How much a client may send before it has to wait. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { freshPath } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";

const MIB = 1024 * 1024;
const socket = freshPath("grpc.sock");

let service: Service;

beforeAll(async () => {
  service = await startTestService(
    () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    { listen: ["127.0.0.1:0", `unix:${socket}`] },
  );
});

afterAll(() => service.close());

async function windowsOf(session: ClientHttp2Session) {
  await once(session, "remoteSettings");
  // The connection's window follows the settings; the answer to a ping follows both.
  await new Promise<void>((resolve) => session.ping(() => resolve()));
  const stream = session.remoteSettings.initialWindowSize;
  const connection = session.state.remoteWindowSize;
  session.destroy();
  return { stream, connection };
}

test("over TCP, a megabyte may be on its way", async () => {
  const session = connectHttp2(`http://${service.addresses[0]}`);
  expect(await windowsOf(session)).toEqual({ stream: MIB, connection: MIB });
});

test("over a Unix socket too", async () => {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
  expect(await windowsOf(session)).toEqual({ stream: MIB, connection: MIB });
});
