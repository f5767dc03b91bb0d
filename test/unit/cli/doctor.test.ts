/** Each of doctor's checks on a machine that lacks something. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { report } from "../../../cli/doctor/doctor.js";
import {
  checkCores,
  checkCpuFeatures,
  checkMemory,
  checkNodeVersion,
  checkOpenFiles,
  checkTasks,
} from "../../../cli/doctor/machine-checks.js";
import {
  checkAddon,
  checkBackend,
  checkConfinement,
  checkDeviceLock,
  checkVerification,
} from "../../../cli/doctor/prover-checks.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const GIB = 1024 ** 3;

test("a Node.js older than the package wants fails, a newer one is ok", () => {
  expect(checkNodeVersion("20.11.0", ">=20.11").level).toBe("ok");
  expect(checkNodeVersion("24.0.0", ">=20.11").level).toBe("ok");
  expect(checkNodeVersion("20.9.1", ">=20.11")).toMatchObject({
    level: "fail",
    text: expect.stringContaining("install Node.js >=20.11"),
  });
});

test("a processor without AVX2 fails, and one of its names inside another is not it", () => {
  expect(checkCpuFeatures("x64", "flags\t\t: sse avx2 pclmulqdq\n").level).toBe("ok");
  const finding = checkCpuFeatures("x64", "flags\t\t: sse avx2_vnni pclmulqdq\n");
  expect(finding).toMatchObject({ level: "fail", text: expect.stringContaining("lacks avx2:") });
  expect(checkCpuFeatures("x64", undefined).level).toBe("warn");
  expect(checkCpuFeatures("arm64", undefined).level).toBe("ok");
});

test("one core is warned of, for whatever reason the others are not allowed", () => {
  const facts = { quotaCores: Infinity, threads: "cpu: 4", missing: undefined };
  expect(checkCores({ ...facts, allowed: 4, machine: 4, allowedList: "0-3" }).level).toBe("ok");
  expect(checkCores({ ...facts, allowed: 1, machine: 8, allowedList: "3" })).toMatchObject({
    level: "warn",
    text: expect.stringMatching(/1 of 8 cores \(3\).*affinity/),
  });
  expect(checkCores({ ...facts, allowed: 1, machine: 1, allowedList: undefined }).level).toBe(
    "warn",
  );
});

test("a CPU quota below the cores is warned of, with the threads that provers get", () => {
  const facts = { allowed: 4, machine: 4, allowedList: "0-3", threads: "cpu: 2" };
  expect(checkCores({ ...facts, quotaCores: 1.5, missing: undefined })).toMatchObject({
    level: "warn",
    text: expect.stringMatching(/CPU quota of 1.5 cores; prover threads: cpu: 2: .*CPUQuota=/),
  });
  expect(checkCores({ ...facts, quotaCores: 4, missing: undefined }).level).toBe("ok");
});

test("cores that this process cannot use fail", () => {
  const facts = { allowed: 2, machine: 2, allowedList: "0-1", threads: "cpu: 2" };
  const missing = "device gpu0 names core 7";
  expect(checkCores({ ...facts, quotaCores: Infinity, missing })).toEqual({
    level: "fail",
    text: missing,
  });
});

test("memory is judged by the control group's limit where there is one", () => {
  const machine = { usesLeanPq: true, totalBytes: 16 * GIB, freeBytes: 8 * GIB };
  expect(checkMemory({ ...machine, usableBytes: 16 * GIB }).level).toBe("ok");
  expect(checkMemory({ ...machine, usableBytes: 2 * GIB }).level).toBe("warn");
  expect(checkMemory({ ...machine, usableBytes: GIB })).toMatchObject({
    level: "fail",
    text: expect.stringContaining("limited to 1074 MB by the control group"),
  });
  expect(checkMemory({ ...machine, freeBytes: GIB, usableBytes: 16 * GIB }).level).toBe("warn");
});

test("memory is not judged by lean_pq's needs where other provers prove", () => {
  const memory = { totalBytes: 2 * GIB, freeBytes: GIB / 4, usableBytes: GIB / 2 };
  expect(checkMemory({ ...memory, usesLeanPq: false })).toEqual({
    level: "ok",
    text:
      "2147 MB, 268 MB free, limited to 537 MB by the control group; " +
      "how much a proof takes, only its library knows",
  });
});

test("a small limit on open files is warned of, and one too small to serve fails", () => {
  expect(checkOpenFiles(1024, 1)).toEqual({
    level: "ok",
    text: "at most 1024, for 512 connections of nodes",
  });
  expect(checkOpenFiles(Infinity, 1).level).toBe("ok");
  expect(checkOpenFiles(256, 1)).toMatchObject({
    level: "warn",
    text: expect.stringMatching(/for 160 connections of nodes: .*LimitNOFILE=/),
  });
  expect(checkOpenFiles(64, 1)).toMatchObject({
    level: "fail",
    text: expect.stringContaining("the service needs 144"),
  });
  expect(checkOpenFiles(620, 9).level, "nine devices need more").toBe("warn");
});

test("a small limit on processes and threads is warned of", () => {
  const none = { left: Infinity, userMax: Infinity };
  expect(checkTasks(none, [2]).level).toBe("ok");
  expect(checkTasks({ ...none, left: 100 }, [2]).level).toBe("ok");
  expect(checkTasks({ ...none, left: 24 }, [2])).toMatchObject({
    level: "warn",
    text: expect.stringMatching(/leaves 24, .* take up to 54 .*TasksMax=/),
  });
  expect(checkTasks({ ...none, userMax: 100 }, [64]).level).toBe("warn");
});

test("an addon that does not load fails with the reason", () => {
  const finding = checkAddon(() => {
    throw new Error("not built; run 'make setup'");
  });
  expect(finding).toEqual({ level: "fail", text: "not built; run 'make setup'" });
});

test("a backend that was never set up, lacks a file, or cannot import fails", () => {
  const root = temporaryFolder();
  expect(checkBackend(root)).toMatchObject({
    level: "fail",
    text: expect.stringContaining("run 'lean-aggregator setup'"),
  });
  mkdirSync(join(root, "build"));
  const write = (python: string, library: string) =>
    writeFileSync(
      join(root, "build/lean_pq.json"),
      JSON.stringify({ library, libpython: root, python, sitepackages: root }),
    );
  write("nowhere/python", root);
  expect(checkBackend(root)).toMatchObject({
    level: "fail",
    text: expect.stringContaining("nowhere/python: run 'lean-aggregator setup'"),
  });
  write("/bin/false", root);
  expect(checkBackend(root)).toMatchObject({
    level: "fail",
    text: expect.stringContaining("cannot import py_lean_pq"),
  });
});

test("a device lock that is held names its holder", () => {
  const lockPath = join(temporaryFolder(), "cpu.lock");
  writeFileSync(lockPath, "4711\n");
  const held = () => ({ lockFile: () => -1 });
  expect(checkDeviceLock(lockPath, held)).toMatchObject({
    level: "warn",
    text: expect.stringContaining("the service with pid 4711 holds"),
  });
  expect(checkDeviceLock(lockPath).level).toBe("ok");
  expect(checkDeviceLock(join(lockPath, "under", "file")).level).toBe("fail");
});

test("confinement is reported, and a prover that would run as root is warned of", () => {
  const check = (uid: number, user?: { uid: number; gid: number }) =>
    checkConfinement({ platform: "linux", uid, devices: [{ id: "cpu", user }] });
  const nobody = { uid: 65_534, gid: 65_534 };
  expect(check(1000)).toMatchObject({ level: "ok", text: expect.stringContaining("privileges") });
  expect(check(0, nobody).level).toBe("ok");
  expect(check(0)).toMatchObject({
    level: "warn",
    text: expect.stringContaining("devices cpu would prove as root"),
  });
  expect(check(0, { uid: 0, gid: 0 }).level).toBe("warn");
  expect(check(1000, nobody)).toMatchObject({
    level: "fail",
    text: expect.stringContaining('devices cpu set "user", which only root can'),
  });
  const elsewhere = checkConfinement({ platform: "darwin", uid: 501, devices: [] });
  expect(elsewhere).toMatchObject({
    level: "ok",
    text: expect.stringContaining("nothing more on darwin"),
  });
});

test("provers that verify their own proofs are warned of", () => {
  expect(checkVerification(Infinity, 2e9, [1.1e9]).level).toBe("ok");
  expect(checkVerification(1.2e9, 1.2e9, [0.3e9, 1.1e9]).level).toBe("ok");
  expect(checkVerification(0, 2e9, [0.3e9])).toEqual({
    level: "warn",
    text: "no standby, so a prover verifies its own proofs: set --standby auto",
  });
  expect(checkVerification(0, 0, [0.3e9]), "a standby would be killed").toEqual({
    level: "warn",
    text: "no standby: memory has no room for one, so a prover verifies its own proofs: add memory",
  });
  expect(checkVerification(1e9, 1e9, [0.3e9, 1.1e9])).toMatchObject({
    level: "warn",
    text: expect.stringMatching(
      /^no standby: a standby takes 1100 MB, memory has room for 1000 MB/,
    ),
  });
  expect(
    checkVerification(Infinity, 1e9, [1.1e9]),
    "--standby 1 in too little memory",
  ).toMatchObject({
    level: "warn",
    text: expect.stringMatching(/room for 1000 MB, so the kernel may kill provers/),
  });
});

test("the report has one line for each check, its level first", () => {
  const lines = report([
    ["memory", { level: "ok", text: "enough" }],
    ["a longer name", { level: "fail", text: "do this" }],
  ]);
  expect(lines).toBe("ok    memory         enough\nFAIL  a longer name  do this\n");
});
