/**
 * The container image, made by following the Dockerfile without an engine: the build's context is
 * what .dockerignore lets through, the packages are installed as there, and the last stage holds
 * exactly what is copied into it. What `make build` compiles is taken from this checkout.
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  allowedByDockerignore,
  environmentOf,
  execForm,
  followCopies,
  parseDockerfile,
  textsOf,
} from "./dockerfile.js";
import type { Stage } from "./dockerfile.js";
import { HADOLINT, INSTALL_TIMEOUT_MS, installHadolint, run } from "./interop-tools.js";
import { freePorts } from "../../tools/harness/processes/free-ports.js";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const checkout = process.cwd();
const stages = parseDockerfile(readFileSync("Dockerfile", "utf8"));
const stage = (name: string): Stage => {
  const found = stages.find((each) => each.name === name);
  if (found === undefined) throw new Error(`there is no stage "${name}"`);
  return found;
};
const image = stage("");
/** Of the image's user; only root can become it. */
const user = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : {};

const root = temporaryFolder();
const folders = { context: join(root, "context"), packages: join(root, "packages") };
const app = join(root, "app");
const writable = { run: join(root, "run"), state: join(root, "state") };
/** The image's own variables, with the writable folders where this test has them. */
const env = Object.fromEntries(
  Object.entries(environmentOf(image)).map(([name, value]) => {
    const inRun = value.replace("/run/lean-aggregator", writable.run);
    return [name, inRun.replace("/var/lib/lean-aggregator", writable.state)];
  }),
);

beforeAll(() => {
  chmodSync(root, 0o755);
  for (const folder of [...Object.values(folders), app, ...Object.values(writable)])
    mkdirSync(folder);
  for (const folder of Object.values(writable))
    if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);

  const allowed = allowedByDockerignore(readFileSync(".dockerignore", "utf8"));
  for (const path of allowed) cpSync(path, join(folders.context, path), { recursive: true });
  const built = new Map([
    ["build", folders.context],
    ["packages", folders.packages],
  ]);
  followCopies(stage("packages"), folders.packages, folders.context, built);
  for (const command of textsOf(stage("packages"), "RUN"))
    execFileSync("sh", ["-c", command], { cwd: folders.packages, stdio: "pipe" });

  for (const path of ["build", ".prover-venv"])
    cpSync(path, join(folders.context, path), { recursive: true, verbatimSymlinks: true });
  // The image is built where it runs, in /app.
  const manifest = join(folders.context, "build/lean_pq.json");
  writeFileSync(manifest, readFileSync(manifest, "utf8").replaceAll(checkout, app));
  symlinkSync(join(checkout, "node_modules"), join(folders.context, "node_modules"));
  const tsc = join(checkout, "node_modules/typescript/bin/tsc");
  execFileSync(process.execPath, [tsc, "-p", "tsconfig.json"], { cwd: folders.context });
  followCopies(image, app, folders.context, built);
}, INSTALL_TIMEOUT_MS);

describe("the image", () => {
  test("serves as its user, and is healthy until it ends", async () => {
    const [entry, command, health] = ["ENTRYPOINT", "CMD", "HEALTHCHECK"].map((word) =>
      execForm(textsOf(image, word)[0] ?? ""),
    );
    expect([...(entry ?? []), ...(command ?? [])]).toEqual(["node", "dist/cli/main.js", "serve"]);
    const [, ...healthArgs] = health ?? [];
    const [port = 0] = await freePorts(1);
    const own = { ...env, LEAN_AGGREGATOR_PROBES: `127.0.0.1:${port}` };
    const isHealthy = () => run(process.execPath, healthArgs, { env: own, cwd: app });
    const flags = ["--prover", "fake"];
    const service = ServiceProcess.spawn({ folder: app, flags, env: own, user });
    try {
      await service.ready();
      expect((await service.listening()).nodes).toBe(env.LEAN_AGGREGATOR_LISTEN);
      expect(await isHealthy()).toMatchObject({ code: 0 });
    } finally {
      expect(await service.stop()).toEqual({ code: 0, signal: null });
    }
    expect(await isHealthy()).toMatchObject({ code: 1 });
  });

  const needsRoot = user.uid === undefined ? " (skipped: only root can become its user)" : "";
  test.skipIf(needsRoot !== "")(`its user can write its two folders alone${needsRoot}`, () => {
    const own = Object.values(writable);
    const args = [app, ...own, "-writable", "!", "-type", "l", "-prune"];
    const found = execFileSync("find", args, { ...user, encoding: "utf8" });
    expect(found.trim().split("\n")).toEqual(own);
  });

  test("has what the prover needs: its doctor finds addon and backend", async () => {
    const { stdout } = await run(process.execPath, ["dist/cli/main.js", "doctor"], {
      env,
      cwd: app,
    });
    expect(stdout).toMatch(/^ok +native addon +loads$/m);
    expect(stdout).toMatch(/^ok +backend +Python 3\.\d+\.\d+ imports py_lean_pq$/m);
    expect(stdout).not.toContain(checkout);
  });

  test("has no compiler, no tool of development and no test", () => {
    const installed = textsOf(image, "RUN").join(" ");
    expect(installed).toMatch(/apt-get install/);
    expect(installed).not.toMatch(/g\+\+|gcc|clang|build-essential|make|-dev|venv|pip|npm/);
    for (const path of ["typescript", "vitest", "node-gyp", "eslint"])
      expect(existsSync(join(app, "node_modules", path)), path).toBe(false);
    for (const path of [
      "dist/test",
      "dist/tools",
      "native/addon.ts",
      "native/build.mjs",
      "test/unit",
      "build/Release/obj.target",
    ])
      expect(existsSync(join(app, path)), path).toBe(false);
  });

  test("runs as a numbered user who is not root, on one version of Node.js", () => {
    expect(textsOf(image, "USER")).toEqual(["1000"]);
    const bases = readFileSync("Dockerfile", "utf8").match(/^FROM \S+/gm);
    expect(bases).toHaveLength(3);
    for (const base of bases ?? []) expect(base).toMatch(/^FROM node:24-bookworm(-slim)?$/);
  });
});

const why = await installHadolint();
const reason = why === undefined ? "" : ` (skipped: ${why})`;
test.skipIf(why !== undefined)(`hadolint finds nothing in the Dockerfile${reason}`, async () => {
  const { code, stdout } = await run(HADOLINT, ["Dockerfile"]);
  expect(stdout).toBe("");
  expect(code).toBe(0);
});
