/** The image's HEALTHCHECK, as the Dockerfile has it, against whatever the image may run. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig } from "../../server/config/config.js";
import { freePorts } from "../../tools/harness/processes/free-ports.js";
import type { ServeOptions } from "../../tools/harness/processes/service-process.js";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { environmentOf, execForm, parseDockerfile, textsOf } from "./dockerfile.js";
import { run } from "./interop-tools.js";

const image = parseDockerfile(readFileSync("Dockerfile", "utf8")).find(({ name }) => name === "");
if (image === undefined) throw new Error("the Dockerfile has no last stage");
const [program, ...args] = execForm(textsOf(image, "HEALTHCHECK")[0] ?? "");

type Run = Pick<ServeOptions, "command" | "flags" | "env">;

const FAKE = ["--prover", "fake"];
const LANE_HOST = [...FAKE, "--engine", "nats://127.0.0.1:1"];
const [port = 0, other = 0, third = 0] = await freePorts(3);

/** What runs in the image, with the variables that an operator gives it. */
const RUNS: [what: string, run: Run][] = [
  [
    "a service without the image's socket",
    { flags: FAKE, env: { LEAN_AGGREGATOR_PROBES: `127.0.0.1:${port}` } },
  ],
  [
    "a lane host, whose engine is away",
    { command: "prove", flags: LANE_HOST, env: { LEAN_AGGREGATOR_PROBES: `127.0.0.1:${other}` } },
  ],
  [
    "probes on all interfaces",
    { flags: FAKE, env: { LEAN_AGGREGATOR_PROBES: `0.0.0.0:${third}` } },
  ],
  [
    "probes at a Unix socket",
    { flags: FAKE, env: { LEAN_AGGREGATOR_PROBES: "unix:FOLDER/probes.sock" } },
  ],
  [
    "a service with the image's socket, and no probes",
    {
      flags: FAKE,
      env: {
        LEAN_AGGREGATOR_LISTEN: "unix:FOLDER/nodes.sock",
        LEAN_AGGREGATOR_PROBES: "off",
      },
    },
  ],
];

test.each(RUNS)("%s: healthy while it answers, and then no longer", async (_what, options) => {
  const folder = temporaryFolder();
  const own = Object.entries({
    LEAN_AGGREGATOR_RUNTIME_DIR: folder,
    LEAN_AGGREGATOR_STATE_DIR: folder,
    ...options.env,
  }).map(([name, value = ""]) => [name, value.replace("FOLDER", folder)]);
  const env = Object.fromEntries(own) as Record<string, string>;
  const { LEAN_AGGREGATOR_SERVER = "" } = environmentOf(image);
  const server = LEAN_AGGREGATOR_SERVER.replace("/run/lean-aggregator", folder);
  const check = () =>
    run(process.execPath, args, { env: { ...env, LEAN_AGGREGATOR_SERVER: server } });
  const service = ServiceProcess.spawn({ ...options, env });
  try {
    await expect.poll(async () => (await check()).code, { timeout: 60_000 }).toBe(0);
  } finally {
    await service.stop();
  }
  expect((await check()).code).toBe(1);
});

test("asks where probes are unless a variable says so", () => {
  expect(program).toBe("node");
  const script = readFileSync(join(process.cwd(), args[0] ?? ""), "utf8");
  expect(script).toContain(`process.env.LEAN_AGGREGATOR_PROBES || "${parseConfig({}).probes}"`);
});
