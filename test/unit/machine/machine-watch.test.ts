/** What the service makes of the machine's limits, and of a memory limit that changes. */
import { expect, test } from "vitest";
import { systemClock } from "../../../server/clock.js";
import { parseConfig } from "../../../server/config/config.js";
import { createLog, type Logger } from "../../../server/log/log.js";
import { MachineWatch, standbyBytesMax, threadsText } from "../../../server/machine-watch.js";
import { testMachine } from "../../helpers/start-service.js";

const log = createLog("silent");

test("a memory limit that changes moves the room for a standby and the ceiling of provers", () => {
  let look = () => {};
  const at = (_instantMs: number, callback: () => void) => {
    look = callback;
    return () => {};
  };
  const clock = { ...systemClock, at };
  const machine = { ...testMachine };
  const watch = new MachineWatch(parseConfig(), { clock, log, readMachine: () => machine });
  expect(watch.laneOptions).toEqual({
    standbyBytesMax: 3.5e9,
    residentBytesMax: 4e9,
    refreshShare: 0.01,
    leafRawsMax: 0,
  });
  machine.memoryBytes = 2e9;
  look();
  expect(watch.laneOptions).toEqual({
    standbyBytesMax: 0,
    residentBytesMax: 1.6e9,
    refreshShare: 0.01,
    leafRawsMax: 0,
  });
  const before = { ...watch.laneOptions };
  Object.assign(machine, { memoryBytes: 64e9, isMemoryLimitRead: false });
  look();
  expect(watch.laneOptions, "a limit that cannot be read has not changed").toEqual(before);
  Object.assign(machine, { memoryBytes: 8e9, isMemoryLimitRead: true });
  look();
  expect(watch.laneOptions).toEqual({
    standbyBytesMax: 3.5e9,
    residentBytesMax: 4e9,
    refreshShare: 0.01,
    leafRawsMax: 0,
  });
  watch.close();
});

test("too little memory for lean_pq is warned of where a device uses it", () => {
  const machine = { ...testMachine, memoryBytes: 1e9 };
  const warnings = (devices: string) => {
    const lines: string[] = [];
    const warn = (_fields: unknown, text: string) => lines.push(text);
    const modules = { clock: systemClock, readMachine: () => machine };
    const quiet: Logger = Object.assign(Object.create(log), { warn });
    new MachineWatch(parseConfig({ devices }), { ...modules, log: quiet }).close();
    return lines;
  };
  const own = '{"id":"own","cores":"1","backend":{"library":"/own.so","config":""}}';
  expect(warnings(`[${own}]`)).toEqual([]);
  expect(warnings(`[{"id":"cpu","cores":"0"},${own}]`)).toEqual([
    expect.stringContaining("too little memory"),
  ]);
});

test("what the operator has set counts, and auto is what fits", () => {
  expect(standbyBytesMax(parseConfig({ standby: "1" }), 1e9)).toBe(Infinity);
  expect(standbyBytesMax(parseConfig({ standby: "0" }), 8e9)).toBe(0);
  expect(standbyBytesMax(parseConfig(), 1e9)).toBe(0);
  expect(standbyBytesMax(parseConfig(), 8e9)).toBe(3.5e9);
  expect(standbyBytesMax(parseConfig({ proverMemoryMb: "3000" }), 8e9)).toBe(4.5e9);
});

test("the threads of each device are logged by name", () => {
  const { devices } = parseConfig({ devices: '[{"id":"a","cores":"0"},{"id":"b","cores":"1-3"}]' });
  const config = { ...parseConfig(), devices };
  expect(threadsText(config, { ...testMachine, cores: 4, quotaCores: 2 })).toBe("a: 1, b: 2");
});

test("a service without devices logs its memory, and no share of it for a prover", () => {
  const lines: object[] = [];
  const info = (fields: object) => lines.push(fields);
  const quiet: Logger = Object.assign(Object.create(log), { info });
  const modules = { clock: systemClock, readMachine: () => testMachine, log: quiet };
  const config = parseConfig({ devices: "none", engine: "nats://localhost:1" });
  new MachineWatch(config, modules).close();
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ memoryMb: testMachine.memoryBytes / 1e6 });
  expect(lines[0]).not.toHaveProperty("proverMemoryMb");
  expect(lines[0]).not.toHaveProperty("standbyMemoryMb");
});
