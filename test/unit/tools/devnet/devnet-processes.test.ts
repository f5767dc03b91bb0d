/** Processes of a devnet that is interrupted: none outlives it, and no second call gets into its folder. */
import { spawnSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { endWithParent } from "../../../../tools/devnet/node/end-with-parent.js";
import { lockFolder } from "../../../../tools/devnet/run/lock-folder.js";
import { NodeProcess } from "../../../../tools/devnet/run/node-process.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";
import { nodeSettings } from "./devnet-setup.js";

const ends = vi.hoisted(() => new Set<() => void>());
vi.mock("../../../../tools/harness/processes/end-with-process.js", () => ({
  endWithProcess: (end: () => void) => {
    ends.add(end);
    return () => ends.delete(end);
  },
}));

afterEach(() => ends.clear());

test("a folder that a living process has is refused, and is free after that", () => {
  const folder = temporaryFolder();
  const release = lockFolder(folder);
  expect(readFileSync(join(folder, "lock"), "utf8")).toBe(String(process.pid));
  expect(() => lockFolder(folder)).toThrow(`OUT=${folder} is in use by process ${process.pid}`);
  release();
  expect(existsSync(join(folder, "lock"))).toBe(false);
  lockFolder(folder)();
});

test("a lock that a dead process left, or that was cut off, is replaced", () => {
  const folder = temporaryFolder();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  for (const left of [String(pid), ""]) {
    writeFileSync(join(folder, "lock"), left);
    const release = lockFolder(folder);
    expect(readFileSync(join(folder, "lock"), "utf8")).toBe(String(process.pid));
    release();
  }
});

test("a node is killed when the orchestrator exits, and not once it has ended", async () => {
  const main = join(temporaryFolder(), "node.mjs");
  writeFileSync(
    main,
    'process.on("message", () => {}); process.send({ type: "ready", metricsPort: 1 });',
  );
  const node = new NodeProcess(nodeSettings, () => undefined, main);
  await node.ready;
  expect(ends.size).toBe(1);
  for (const end of ends) end();
  expect(await node.exited).toBeNull();
  expect(ends.size).toBe(0);
});

test("a node ends when its parent has gone, and leaves it in good order otherwise", () => {
  const exits: number[] = [];
  const forked = () => {
    const own = new EventEmitter();
    const exit = (code: number) => exits.push(code);
    return Object.assign(own, { exit, disconnect: () => own.emit("disconnect") });
  };
  endWithParent(forked())();
  expect(exits).toEqual([]);
  const orphan = forked();
  endWithParent(orphan);
  orphan.disconnect();
  expect(exits).toEqual([1]);
});
