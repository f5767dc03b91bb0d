/**
 * The target that is no JavaScript: `native/conformance/fuzz.c` over the `lean_pq` backend, both
 * built for AddressSanitizer. What it finds is named by its seed and the number of the call.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const ABI = "abi";

export interface AbiOptions {
  seed: number;
  seconds: number;
  /** Runs this call alone. */
  only: string;
  /** Folder of findings. */
  out: string;
}

/** How many findings there were: the first ends it. */
export async function fuzzAbi({ seed, seconds, only, out }: AbiOptions): Promise<number> {
  const inputs = join(out, "abi-inputs");
  make("native/build.mjs", "--asan");
  make("native/conformance/inputs.mjs", inputs);
  const number = only === "" ? [] : [only];
  const child = spawn(
    "build/fuzz-asan",
    [
      "build/lean_pq-asan.so",
      join(inputs, "config.txt"),
      inputs,
      String(seed),
      String(seconds),
    ].concat(number),
    { stdio: ["ignore", "pipe", "inherit"], env: sanitizerEnvironment(process.env) },
  );
  let found = "";
  createInterface({ input: child.stdout }).on("line", (line) => {
    process.stdout.write(`${line}\n`);
    if (line.startsWith("FOUND")) found = line;
  });
  const exitCode = await new Promise<number | null>((resolve) => child.on("close", resolve));
  if (exitCode === 0) return 0;
  const [, execution = "0"] = /execution (\d+)/.exec(found) ?? [];
  const command = `make fuzz TARGET=${ABI} SEED=${String(seed)} ONLY=${execution}`;
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, `${ABI}-${String(seed)}-${execution}.txt`), `${command}\n\n${found}\n`);
  process.stdout.write(`      ${command}\n`);
  return 1;
}

/** For a program under AddressSanitizer: aborts where it reports, and knows what is no leak. */
export function sanitizerEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const suppressions = join(process.cwd(), "native/conformance/lsan.supp");
  return {
    ...env,
    ASAN_OPTIONS: "abort_on_error=1",
    LSAN_OPTIONS: `suppressions="${suppressions}":print_suppressions=0`,
  };
}

function make(script: string, argument: string): void {
  const { status } = spawnSync(process.execPath, [script, argument], { stdio: "inherit" });
  if (status !== 0) throw new Error(`${script} failed`);
}
