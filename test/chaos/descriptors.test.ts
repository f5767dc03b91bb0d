/** The service as an operator runs it, with few file descriptors. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { until } from "./chaos-service.js";

const OPEN_FILES = 200;
const CONNECTIONS = 300;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function serve(openFilesMax: number): ServiceProcess {
  const folder = temporaryFolder();
  const flags = ["--runtime-dir", folder, "--state-dir", folder, "--standby", "0"];
  const service = ServiceProcess.spawn({ flags, openFilesMax });
  closers.push(() => service.stop());
  return service;
}

test("idle connections do not take the descriptors of probes, operator and provers", async () => {
  const service = serve(OPEN_FILES);
  await service.ready();
  const { nodes, probes } = await service.listening();
  const [host = "", port] = nodes.split(":");
  const sockets = Array.from({ length: CONNECTIONS }, (): Socket => {
    const socket = connect(Number(port), host);
    return socket.on("error", () => undefined);
  });
  closers.push(() => sockets.forEach((socket) => socket.destroy()));
  await until(() => sockets.every(({ connecting }) => !connecting));
  expect(await fetch(`http://${probes}/livez`)).toMatchObject({ status: 200 });

  const first = service.active();
  process.kill(first, "SIGKILL");
  await until(() => service.provers().some((pid) => pid !== first));
  expect(service.endings()).toEqual(["died"]);
  expect(service.isAlive).toBe(true);
});

test("a limit on open files with which it cannot serve ends it with a sentence", async () => {
  const service = serve(140);
  expect(await service.exited).toEqual({ code: 1, signal: null });
  expect(service.stderr).toMatch(
    /the limit on open files is 140, but the service needs 144: raise it to 608 with 'ulimit -n'/,
  );
});
