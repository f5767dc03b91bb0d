/** A service without `--engine` is one process that has nothing of an engine in memory. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";

/** Prints at the end which files of the NATS package were loaded, into standard error. */
const REPORT = `data:text/javascript,${encodeURIComponent(`
  import { createRequire } from "node:module";
  import { writeSync } from "node:fs";
  const { cache } = createRequire("/");
  process.on("exit", () => {
    const loaded = Object.keys(cache).filter((file) => file.includes("@nats-io"));
    writeSync(2, "files of NATS: " + loaded.length + "\\n");
  });
`)}`;

test("serve without --engine never loads the package of NATS", async () => {
  const service = ServiceProcess.spawn({
    flags: ["--prover", "fake"],
    env: { NODE_OPTIONS: `--import=${REPORT}` },
  });
  await service.listening();
  await service.stop();
  expect(service.stderr).toContain("files of NATS: 0\n");
});

test("the same report finds the package where it is loaded", () => {
  const load = 'await (await import("./dist/server/engine/nats-dial.js")).loadNats();';
  const args = [`--import=${REPORT}`, "--input-type=module", "-e", load];
  const { stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  expect(stderr).toMatch(/^files of NATS: [1-9]/m);
});
