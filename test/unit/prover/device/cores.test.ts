/** The cores of devices: threads under a CPU quota, and cores that do not exist. */
import { expect, test } from "vitest";
import { missingCores, proverThreads } from "../../../../server/prover/device/cores.js";

const device = (id: string, cores: number[] = [], threads = 0) => ({ id, cores, threads });

test("a prover has a thread for each of its cores", () => {
  const machine = { cores: 8, quotaCores: Infinity };
  const all = device("cpu");
  expect(proverThreads(all, machine, [all])).toBe(8);
  const some = device("cpu", [0, 1, 2]);
  expect(proverThreads(some, machine, [some])).toBe(3);
  const set = device("cpu", [0, 1, 2], 2);
  expect(proverThreads(set, machine, [set])).toBe(2);
});

test("threads never exceed the device's share of the CPU quota, and there is one at least", () => {
  const all = device("cpu");
  expect(proverThreads(all, { cores: 64, quotaCores: 1.5 }, [all])).toBe(2);
  expect(proverThreads(all, { cores: 64, quotaCores: 0.1 }, [all])).toBe(1);
  const set = device("cpu", [], 16);
  expect(proverThreads(set, { cores: 64, quotaCores: 4 }, [set])).toBe(4);
  const two = [device("a", [0, 1, 2, 3, 4, 5]), device("b", [6, 7])] as const;
  const machine = { cores: 8, quotaCores: 4 };
  expect(two.map((each) => proverThreads(each, machine, two))).toEqual([3, 1]);
});

test("a device whose cores this process cannot use is named, with the cores that it can", () => {
  const two = [device("a", [0, 1]), device("b", [2, 3, 9])];
  expect(missingCores(two, "0-3,8")).toEqual({
    at: 1,
    problem: "names core 9, but this process may use only 0-3,8: name others",
  });
  expect(missingCores(two, "0-3,8-9")).toBeUndefined();
  expect(missingCores(two, ""), "unknown").toBeUndefined();
  const hundred = [
    device(
      "a",
      Array.from({ length: 100 }, (_, core) => core),
    ),
  ];
  expect(missingCores(hundred, "0-1")?.problem).toMatch(/^names cores 2, 3, 4, 5, 6, 7, 8, 9, …,/);
});
