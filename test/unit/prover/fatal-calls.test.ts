/** The calls in which provers died, as files. */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import type { Logger } from "../../../server/log/log.js";
import type { FatalCall } from "../../../server/prover/fatal-call.js";
import { FatalCalls } from "../../../server/prover/fatal-calls.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const claim = { root: new Uint8Array(32).fill(1), slot: 7, keys: new Uint8Array(64).fill(2) };

function fatal(slot = 7): FatalCall {
  return {
    ...{ device: "cpu0", backend: { library: "/opt/x.so", config: "a=b\n" }, threads: 2 },
    description: {
      ...{ backend: "b", scheme: "s", revision: "r", publicKeyBytes: 32, signatureBytes: 8 },
      ...{ proofBytesMax: 1000, childrenMax: 4, messagesMax: 4, rates: 0 },
    },
    call: {
      kind: "verifySignatures",
      raws: { ...claim, slot, signatures: new Uint8Array(16).fill(3) },
    },
    cause: "SIGABRT: abort() ran",
  };
}

function keeper(folder = join(temporaryFolder(), "kept")) {
  mkdirSync(folder, { recursive: true });
  const lines: { level: string; fields: Record<string, unknown>; text: string }[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, text: string) =>
    void lines.push({ level, fields, text });
  const levels = ["debug", "info", "warn", "error"].map((level) => [level, at(level)]);
  const log = Object.fromEntries(levels) as unknown as Logger;
  return { folder, lines, calls: new FatalCalls(folder, log) };
}

test("a call is kept for its owner alone, with what was known; the log names the file", async () => {
  const { folder, lines, calls } = keeper();
  calls.keep(fatal());
  await calls.close();
  const [name = ""] = readdirSync(folder);
  expect(name).toMatch(/^verify_signatures-[0-9a-f]{16}\.call$/);
  const path = join(folder, name);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const text = readFileSync(path, "latin1");
  for (const known of ["LPCALL02", "/opt/x.so", "a=b\n", "cpu0", "SIGABRT: abort() ran"]) {
    expect(text).toContain(known);
  }
  expect(lines).toEqual([
    {
      level: "warn",
      fields: { device: "cpu0", path },
      text: "kept the call in which a prover died",
    },
  ]);
});

test("the same call is kept once, whatever it died of", async () => {
  const { folder, lines, calls } = keeper();
  calls.keep(fatal());
  calls.keep({ ...fatal(), cause: "SIGSEGV", device: "cpu1" });
  await calls.close();
  expect(readdirSync(folder)).toHaveLength(1);
  expect(lines[1]?.text).toBe("a prover died again in a call that is kept already");
});

test("the first ones stay: a full folder takes no more, and says so", async () => {
  const { folder, lines, calls } = keeper();
  for (let slot = 0; slot < limits.fatalCallsMax + 3; slot++) calls.keep(fatal(slot));
  await calls.close();
  expect(readdirSync(folder)).toHaveLength(limits.fatalCallsMax);
  expect(lines.at(-1)).toMatchObject({ level: "warn", text: "did not keep a fatal call: full" });
});

test("their bytes are bounded too, with those of earlier runs", async () => {
  const { folder, calls } = keeper();
  const old = join(folder, "prove-0123456789abcdef.call");
  writeFileSync(old, "");
  truncateSync(old, limits.fatalCallBytesMax);
  calls.keep(fatal());
  await calls.close();
  expect(readdirSync(folder)).toEqual(["prove-0123456789abcdef.call"]);
});

test("a folder that is gone is an error in the log", async () => {
  const { folder, lines, calls } = keeper();
  rmSync(folder, { recursive: true });
  calls.keep(fatal());
  await calls.close();
  expect(lines).toMatchObject([
    { level: "error", text: "cannot keep the call in which a prover died" },
  ]);
});
