/** A served process reports to a NOTIFY_SOCKET, as under systemd. Python receives, as Node.js cannot. */
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setImmediate } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";
import type { ServeOptions } from "../../../tools/harness/processes/service-process.js";
import { hasProgram } from "../../interop/interop-tools.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const RECEIVER = `
import json, socket, sys
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1].replace("@", "\\0", 1) if sys.argv[1].startswith("@") else sys.argv[1])
print(json.dumps("bound"), flush=True)
while True:
    print(json.dumps(receiver.recv(65536).decode()), flush=True)
`;

/** False once a process stands still, as after SIGSTOP. */
const isGoing = (pid: number) => !/\) T /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));

const WAIT_MS = 60_000;
const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Listens at the socket. `until` resolves with the first message that matches, since the last such. */
async function receive(path: string) {
  const child = spawn("python3", ["-c", RECEIVER, path], { stdio: ["ignore", "pipe", "inherit"] });
  ends.push(() => child.kill("SIGKILL"));
  const messages: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => messages.push(String(JSON.parse(line))));
  const until = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const message = messages.shift();
      if (message === undefined) await once(lines, "line");
      else if (pattern.test(message)) return message;
    }
  };
  await until(/^bound$/);
  return { until, messages };
}

function start(path: string, command: "serve" | "prove", more: ServeOptions = {}) {
  const flags = ["--prover", "fake"];
  if (command === "prove") flags.push("--engine", "nats://127.0.0.1:9", "--host-id", "host-0");
  const process = ServiceProcess.spawn({
    ...{ command, flags },
    ...more,
    env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "600000", ...more.env },
  });
  ends.push(() => process.signal("SIGKILL"));
  return process;
}

const missing = process.platform !== "linux" || !hasProgram("python3", "--version");

describe.skipIf(missing)(
  `NOTIFY_SOCKET${missing ? " (skipped: Linux with python3 only)" : ""}`,
  () => {
    test.each(["serve", "prove"] as const)(
      "%s says ready, feeds the watchdog, and says reloading and stopping",
      async (command) => {
        const path = join(temporaryFolder(), "notify");
        const { until } = await receive(path);
        const process = start(path, command);
        await until(/^READY=1\nSTATUS=/);
        await until(/^WATCHDOG=1/);
        await until(/^WATCHDOG=1/);
        process.signal("SIGHUP");
        expect(await until(/^RELOADING=1/)).toMatch(/\nMONOTONIC_USEC=\d+$/);
        await until(/^READY=1/);
        process.signal("SIGTERM");
        await until(/^STOPPING=1/);
        expect(await process.exited).toEqual({ code: 0, signal: null });
      },
      WAIT_MS,
    );

    test(
      "a process that stands still feeds nothing, and does again when it goes on",
      async () => {
        const path = `@lean-aggregator-test-${process.pid}`;
        const { until, messages } = await receive(path);
        const service = start(path, "serve");
        await until(/^WATCHDOG=1/);
        service.signal("SIGSTOP");
        // What was sent before the stop is read first; then nothing comes in twice the watchdog's time.
        while (isGoing(service.pid)) await setImmediate();
        messages.splice(0);
        const next = until(/^WATCHDOG=1/).then(() => "fed");
        const silence = new Promise((resolve) => setTimeout(resolve, 1200, "silent"));
        expect(await Promise.race([next, silence])).toBe("silent");
        service.signal("SIGCONT");
        expect(await next).toBe("fed");
      },
      WAIT_MS,
    );

    test(
      "the watchdog of another process is left alone, and a socket that is gone ends nothing",
      async () => {
        const logged = new EventEmitter();
        const onLine = (line: string) => {
          if (line.includes("cannot report to the service manager")) logged.emit("warning");
        };
        const warning = once(logged, "warning");
        const gone = start(join(temporaryFolder(), "nobody"), "serve", { onLine });
        await warning;
        const path = join(temporaryFolder(), "notify");
        const { until, messages } = await receive(path);
        const service = start(path, "serve", { env: { WATCHDOG_PID: "1" } });
        await until(/^READY=1/);
        service.signal("SIGTERM");
        await until(/^STOPPING=1/);
        await service.exited;
        expect(messages.filter((each) => each.includes("WATCHDOG"))).toEqual([]);
        gone.signal("SIGTERM");
        expect(await gone.exited).toEqual({ code: 0, signal: null });
      },
      WAIT_MS,
    );
  },
);
