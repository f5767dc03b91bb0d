/** Shell completion of names that only the service knows, in process and in each shell of this machine. */
import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { commandInProcess, MAIN } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { hasProgram } from "../../interop/interop-tools.js";
import { GatedProver } from "../schedule/gated-prover.js";
import { policyFile } from "../access/access-matrix.js";

let service: Service;
let server: string;
let session: string;

beforeAll(async () => {
  const prover = new GatedProver();
  const devices = [
    { id: "cpu-a", cores: [0] },
    { id: "cpu-b", cores: [1] },
  ];
  service = await startTestService(prover.start, { devices, drainMs: 1 });
  server = service.operatorAddress ?? "";
  const client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  const { result } = await client.submitSnapshot({
    node: { nodeId: "beam-1" },
    ...{ requestId: "one", snapshot: fakeSnapshot(1), deadlineMs: 50_000, fenceMs: 60_000 },
  });
  if (result.case !== "accepted") throw new Error("skipped");
  session = (await callAdmin(server, "listSessions", {})).sessions[0]?.sessionId ?? "";
  client.close();
});
afterAll(() => service.close());

/** The words that the hidden command offers. */
async function offered(...words: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await commandInProcess(["complete", "--", ...words]);
  expect([code, stderr]).toEqual([0, ""]);
  return stdout.split("\n").flatMap((line) => line.split("\t")[0] || []);
}

test("devices, sessions and nodes are offered by name", async () => {
  expect(await offered("admin", "drain", "--server", server, "")).toEqual(["cpu-a", "cpu-b"]);
  expect(await offered("admin", "restart", `--server=${server}`, "cpu-b")).toEqual(["cpu-b"]);
  expect(await offered("admin", "end", "--server", server, "")).toEqual([session]);
  process.env["LEAN_AGGREGATOR_ADMIN"] = server;
  expect(await offered("watch", "--node", "be")).toEqual(["beam-1"]);
  delete process.env["LEAN_AGGREGATOR_ADMIN"];
});

test("a service that is down, silent, or refuses gives no names and no error", async () => {
  const silent = createServer(() => undefined).listen(0, "127.0.0.1");
  await new Promise((resolve) => silent.once("listening", resolve));
  const { port } = silent.address() as AddressInfo;
  const access = { calls: ["*"], nodes: ["*"], priorities: ["*"] };
  const policy = policyFile({ name: "nobody", anonymous: true, ...access });
  const guarded = await startTestService(new GatedProver().start, { policy, drainMs: 1 });
  try {
    for (const place of [
      "127.0.0.1:1",
      `127.0.0.1:${port}`,
      guarded.operatorAddress ?? "",
      "no place",
    ]) {
      expect(await offered("admin", "drain", "--server", place, "")).toEqual([]);
    }
    expect(
      await offered("admin", "drain", "--server", server, "--token-file", "/none", ""),
    ).toEqual([]);
  } finally {
    silent.close();
    await guarded.close();
  }
});

/** What a shell's own completion offers for a line, with the compiled program. */
const shells: Readonly<Record<string, string>> = {
  bash: `source "$SCRIPT"
COMP_WORDS=(lean-aggregator admin drain --server 127.0.0.1 : "$PORT" cpu)
COMP_CWORD=7
COMP_LINE="lean-aggregator admin drain --server 127.0.0.1:$PORT cpu"
COMP_POINT=\${#COMP_LINE}
_lean_aggregator
printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: `compdef() { : }
source "$SCRIPT"
_describe() { print -l -- "\${(@)words_and_texts%%:*}" }
words=(lean-aggregator admin drain --server "127.0.0.1:$PORT" cpu)
CURRENT=6
_lean_aggregator`,
  fish: `source $SCRIPT
complete -C "lean-aggregator admin drain --server 127.0.0.1:$PORT cpu" | string replace -r '\\t.*' ''`,
};

for (const [shell, lines] of Object.entries(shells)) {
  const isMissing = shell !== "bash" && !hasProgram(shell, "-c", "exit 0");
  test.skipIf(isMissing)(`${shell} offers the devices of the service`, async () => {
    const folder = join(temporaryFolder(), "bin");
    mkdirSync(folder);
    const executable = join(folder, "lean-aggregator");
    writeFileSync(executable, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
    chmodSync(executable, 0o755);
    const script = join(folder, "script");
    writeFileSync(script, (await commandInProcess(["completion", shell])).stdout);
    const port = server.split(":").at(-1) ?? "";
    const env = {
      PATH: `${folder}:${process.env["PATH"] ?? ""}`,
      ...{ HOME: folder, SCRIPT: script, PORT: port },
    };
    const ran = spawn(shell, ["-c", lines], { env, stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    ran.stdout.on("data", (bytes: Buffer) => (printed += bytes.toString()));
    ran.stderr.on("data", (bytes: Buffer) => (printed += bytes.toString()));
    await new Promise((resolve) => ran.once("close", resolve));
    expect(printed.trim().split("\n")).toEqual(["cpu-a", "cpu-b"]);
  });
}
