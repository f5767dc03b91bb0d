/** What each signal does to `serve`, at any moment, and to other commands. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterEach, describe, expect, test } from "vitest";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";
import { MAIN } from "../../helpers/command-line.js";
import { Authority } from "../../../tools/harness/processes/authority.js";
import { filesOf } from "../../transport/certificates.js";
import { ServedPlace, catches, until } from "./served.js";

const started: ServiceProcess[] = [];
afterEach(async () => {
  for (const service of started.splice(0)) await service.kill();
});

function serve(place: ServedPlace, ...more: string[]): ServiceProcess {
  const service = ServiceProcess.spawn({ flags: [...place.flags, ...more] });
  started.push(service);
  return service;
}

const hasLogged = (service: ServiceProcess, msg: string) => () =>
  service.log.some((line) => line.msg.startsWith(msg));

/** The last line with this message: others come when they like, such as that a standby is ready. */
const lastLine = (service: ServiceProcess, msg: string) =>
  service.log.findLast((line) => line.msg.startsWith(msg));

describe.each(["SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR2"] as const)("%s", (signal) => {
  test("drains the service: exit code 0", async () => {
    const place = new ServedPlace();
    const service = serve(place);
    await place.ready();
    service.signal(signal);
    expect(await service.exited).toEqual({ code: 0, signal: null });
    expect(service.log.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(["signal received", "draining", "closed"]),
    );
  });

  test("does the same before the service listens", async () => {
    const service = serve(new ServedPlace());
    // As soon as signals are taken, which is long before the rest of the program is loaded.
    await until("signals are taken", () => catches(service.pid, "SIGHUP"));
    service.signal(signal);
    expect(await service.exited).toEqual({ code: 0, signal: null });
  });
});

describe.each(["SIGHUP", "SIGUSR1", "SIGPIPE", "SIGWINCH", "SIGCONT"] as const)("%s", (signal) => {
  test("never ends the service, also not before it listens, and opens no debugger", async () => {
    const place = new ServedPlace();
    const service = serve(place);
    await until("signals are taken", () => catches(service.pid, "SIGHUP"));
    service.signal(signal);
    await place.ready();
    service.signal(signal);
    await delay(200);
    expect(await place.isLive()).toBe(true);
    expect(service.stderr).toBe("");
    expect(await service.stop()).toEqual({ code: 0, signal: null });
  });
});

test("stopped and continued, the service goes on", async () => {
  const place = new ServedPlace();
  const service = serve(place);
  await place.ready();
  service.signal("SIGSTOP");
  await until("it is stopped", async () => !(await place.isLive()));
  service.signal("SIGCONT");
  await until("it goes on", () => place.isLive());
  expect((await service.stop()).code).toBe(0);
});

describe("SIGHUP", () => {
  test("without files says that there is nothing to reload", async () => {
    const place = new ServedPlace();
    const service = serve(place);
    await place.ready();
    service.signal("SIGHUP");
    await until("it says so", hasLogged(service, "nothing to reload"));
  });

  test("reloads the policy and the log level; a wrong file changes nothing, and is named", async () => {
    const place = new ServedPlace();
    const [policy, config] = ["policy.json", "config.json"].map((name) => join(place.folder, name));
    const write = (file = "", content: object | string) =>
      writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
    write(policy, { principals: [] });
    write(config, { logLevel: "info", deadlineMs: 500 });
    const service = serve(place, "--policy", policy ?? "", "--config", config ?? "");
    await place.ready();

    service.signal("SIGHUP");
    await until("it has reloaded", hasLogged(service, "reloaded"));
    expect(lastLine(service, "reloaded")).toMatchObject({ reloaded: ["policy", "settings"] });

    write(policy, "{");
    write(config, { logLevel: "loud" });
    service.signal("SIGHUP");
    await until("it has failed", hasLogged(service, "not all reloaded"));
    expect(lastLine(service, "not all reloaded")).toMatchObject({
      reloaded: [],
      failed: ["policy", "settings"],
    });
    expect(service.log.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining([
        "new policy rejected; the current one stays in force",
        "new settings rejected; the log level stays as it is",
      ]),
    );

    write(policy, { principals: [] });
    write(config, { logLevel: "warn", deadlineMs: 600 });
    service.signal("SIGHUP");
    await until("it warns", hasLogged(service, "changed settings need a restart"));
    const warning = lastLine(service, "changed settings need a restart");
    expect(warning).toMatchObject({ level: "warn", settings: ["deadlineMs"] });
    const { length } = service.log;
    service.signal("SIGUSR1");
    expect((await service.stop()).code).toBe(0);
    expect(service.log.length).toBe(length);
  });
});

/** The subject of the certificate that a new connection is shown. */
async function shownAt(address: string): Promise<string | undefined> {
  const [host, port] = address.split(":");
  const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const subject = socket.getPeerX509Certificate()?.subject;
  socket.destroy();
  return subject;
}

test("SIGHUP reads the certificate at once; a wrong one is named, and the current one stays", async () => {
  const authority = new Authority("fleet");
  const [first, second] = [
    authority.issue({ commonName: "first" }),
    authority.issue({ commonName: "second" }),
  ];
  const place = new ServedPlace();
  const files = filesOf({ crt: first.certificate, key: first.key });
  const tls = ["--tls-certificate", files.crt, "--tls-key", files.key];
  const service = serve(place, ...tls, "--listen", "127.0.0.1:0");
  await place.ready();
  const address = (await service.listening()).nodes;
  expect(await shownAt(address)).toBe("CN=first");

  writeFileSync(files.crt, second.certificate);
  writeFileSync(files.key, second.key);
  service.signal("SIGHUP");
  await until("it has reloaded", hasLogged(service, "reloaded"));
  expect(lastLine(service, "reloaded")).toMatchObject({ reloaded: ["certificates"] });
  expect(await shownAt(address)).toBe("CN=second");

  writeFileSync(files.key, first.key);
  service.signal("SIGHUP");
  await until("it has failed", hasLogged(service, "not all reloaded"));
  expect(lastLine(service, "not all reloaded")).toMatchObject({
    reloaded: [],
    failed: ["certificates"],
  });
  expect(await shownAt(address)).toBe("CN=second");
});

test("SIGUSR1 opens no debugger in another command", async () => {
  const place = new ServedPlace();
  serve(place);
  await place.ready();
  const server = place.nodes;
  const watch = spawn(process.execPath, [MAIN, "watch", "--server", server], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let printed = "";
  watch.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  watch.stderr.setEncoding("utf8").on("data", (text: string) => (printed += text));
  await until("it watches", () => printed.includes("group"));
  watch.kill("SIGUSR1");
  await delay(300);
  watch.kill("SIGINT");
  expect(await once(watch, "exit")).toEqual([0, null]);
  expect(printed).not.toMatch(/debugger/i);
});
