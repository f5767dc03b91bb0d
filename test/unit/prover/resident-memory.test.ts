/** The memory of a process that can open no file any more is what was last read. */
import { expect, test } from "vitest";
import { ResidentMemory } from "../../../server/prover/peak-memory.js";

test("a memory that cannot be read is what it was last", () => {
  const reads = [undefined, 5e6, undefined, 7e6];
  const memory = new ResidentMemory(() => {
    const bytes = reads.shift();
    if (bytes === undefined) throw new Error("EMFILE: too many open files, uv_resident_set_memory");
    return bytes;
  });
  expect(Array.from({ length: 4 }, () => memory.bytes())).toEqual([0, 5e6, 5e6, 7e6]);
});

test("by default it is that of this process", () => {
  expect(new ResidentMemory().bytes()).toBeGreaterThan(1e6);
});
