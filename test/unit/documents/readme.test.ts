/**
 * The shell lines of the README and of the pages below do what those say: each runs unchanged, in order and in one
 * folder, against a service in this process. Only addresses and programs' places are replaced.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { commandLine, MAIN, runUntil } from "../../helpers/command-line.js";
import {
  GRPCURL,
  hasProgram,
  INSTALL_TIMEOUT_MS,
  installGrpcurl,
} from "../../interop/interop-tools.js";
import { startTestService } from "../../helpers/start-service.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const COMMAND = "node dist/cli/main.js";
const README_NODES = "127.0.0.1:9190";
const README_PROBES = "127.0.0.1:9191";

const PAGES = ["README.md", "docs/start.md", "docs/operate/access.md"];
const lines = PAGES.map((page) => readFileSync(page, "utf8"))
  .join("\n")
  .replaceAll(/\\\n\s*/g, "")
  .split("\n")
  .map((line) => line.trim().replace(/^\$ /, ""))
  .filter((line) => [COMMAND, "grpcurl ", "curl "].some((start) => line.startsWith(start)));
const ours = lines.filter((line) => line.startsWith(COMMAND));
const runnable = lines.filter((line) => !needsAnotherMachine(line));

/** Lines about listeners, files or identities that only their reader has: their flags are checked. */
function needsAnotherMachine(line: string): boolean {
  const withoutComment = line.replace(/ #.*/, "");
  const isServe = withoutComment.startsWith(`${COMMAND} serve`);
  const flags = withoutComment.match(/ --[a-z-]+/g) ?? [];
  const isHarmless = (flag: string) =>
    [" --help", " --prover", " --deadline-ms", " --fence-ms", " --log-level"].includes(flag);
  return (
    (isServe && !flags.every(isHarmless)) ||
    /--config|tls|cert|\.pem|\/etc\/|\/run\//.test(withoutComment)
  );
}

/** Those that go on until they are interrupted. */
function isEndless(line: string): boolean {
  return /main.js (serve|watch)\b(?!.*--help)|StreamResults/.test(line) && !/noFollow/.test(line);
}

/** Exit codes that a line may end with: `doctor` judges this machine, not the README. */
const codesOf = (line: string) => (line.startsWith(`${COMMAND} doctor`) ? [0, 1] : [0]);

const grpcurlIsMissing = !existsSync(GRPCURL) && !hasProgram("go", "version");
function missingFor(line: string): string {
  if (line.startsWith("grpcurl ") && grpcurlIsMissing) return " (skipped: no grpcurl, and no go)";
  const piped = [...line.matchAll(/\| (\w+)/g)].map(([, program = ""]) => program);
  const needed = [...(line.startsWith("curl ") ? ["curl"] : []), ...piped];
  const missing = needed.find((program) => !hasProgram("which", program));
  return missing === undefined ? "" : ` (skipped: no ${missing})`;
}

describe("the documents' shell lines", () => {
  let service: Service;
  let env: Record<string, string>;
  const cwd = temporaryFolder();
  beforeAll(async () => {
    if (!grpcurlIsMissing && lines.some((line) => line.startsWith("grpcurl "))) {
      await installGrpcurl();
    }
    service = await startTestService(() =>
      startFakeProver({ accepts: "any", proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
    for (const file of ["examples/snapshot.json", "examples/merge.json", "deploy/policy.json"]) {
      mkdirSync(join(cwd, dirname(file)), { recursive: true });
      copyFileSync(file, join(cwd, file));
    }
    env = {
      LEAN_AGGREGATOR_SERVER: service.addresses[0] ?? "",
      // Of `serve` and `doctor`, which would else take the README's own ports.
      LEAN_AGGREGATOR_LISTEN: "127.0.0.1:0",
      LEAN_AGGREGATOR_PROBES: "127.0.0.1:0",
      LEAN_AGGREGATOR_ADMIN: "127.0.0.1:0",
      LEAN_AGGREGATOR_PROVER: "fake",
    };
  }, INSTALL_TIMEOUT_MS);
  afterAll(() => service.close());

  const here = (line: string) =>
    line
      .replaceAll(COMMAND, `'${process.execPath}' '${MAIN}'`)
      .replaceAll(README_NODES, service.addresses[0] ?? "")
      .replaceAll(README_PROBES, service.probesAddress ?? "")
      .replace(/ admin (\w+)/, ` admin $1 --server ${service.operatorAddress ?? ""}`)
      .replace(/^grpcurl /, `'${GRPCURL}' `)
      .replace(/^curl /, "curl -sS --fail --noproxy '*' ");

  test("are there to be tested", () => {
    expect(ours.length).toBeGreaterThan(0);
    expect(runnable.length).toBeGreaterThan(lines.length / 2);
  });

  test.each(ours)("have flags and subcommands that exist: %s", async (line) => {
    const [, , name = "", ...rest] = line.replace(/ #.*/, "").split(/\s+/);
    const isOfProgram = name.startsWith("--");
    const command = name === "policy" ? [name, ...rest.slice(0, 1)] : isOfProgram ? [] : [name];
    const { code, stdout } = await commandLine([...command, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: ${["lean-aggregator", ...command].join(" ")} `);
    const known: string[] = stdout.match(/--[a-z][a-z-]*/g) ?? [];
    const flags = [...(isOfProgram ? [name] : []), ...rest].filter((word) => word.startsWith("--"));
    for (const flag of flags) expect(known).toContain(flag.replace(/=.*/, ""));
  });

  for (const line of runnable) {
    const missing = missingFor(line);
    test.skipIf(missing !== "")(`work: ${line}${missing}`, async () => {
      // `exec` hands the signal to the program itself. Anything printed says that it is up.
      const when = isEndless(line) ? /\S/ : /(?!)/;
      const until = { env, cwd, signal: "SIGINT", when } as const;
      const { code, stdout, stderr } = await runUntil("bash", ["-c", `exec ${here(line)}`], until);
      const printed = `${stdout}${stderr}`;
      if (line.startsWith("grpcurl ") && isEndless(line)) expect(stdout, printed).toMatch(/^\{/);
      else expect(codesOf(line), printed).toContain(code);
    });
  }
});
