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
  expect(checkCores(4, 4, "0-3").level).toBe("ok");
  expect(checkCores(1, 8, "3")).toMatchObject({
    level: "warn",
    text: expect.stringMatching(/1 of 8 cores \(3\).*affinity/),
  });
  expect(checkCores(1, 1, undefined).level).toBe("warn");
});

test("memory is judged by the control group's limit where there is one", () => {
  const machine = { totalBytes: 16 * GIB, freeBytes: 8 * GIB };
  expect(checkMemory({ ...machine, limitBytes: undefined }).level).toBe("ok");
  expect(checkMemory({ ...machine, limitBytes: 2 ** 64 }).level).toBe("ok");
  expect(checkMemory({ ...machine, limitBytes: 2 * GIB }).level).toBe("warn");
  expect(checkMemory({ ...machine, limitBytes: GIB })).toMatchObject({
    level: "fail",
    text: expect.stringContaining("limited to 1.0 GiB by the control group"),
  });
  expect(checkMemory({ ...machine, freeBytes: GIB, limitBytes: 0 }).level).toBe("warn");
});

test("a small limit on open files is warned of", () => {
  const limits = (soft: string) => `Max open files            ${soft}     4096     files`;
  expect(checkOpenFiles(limits("1024")).level).toBe("ok");
  expect(checkOpenFiles(limits("unlimited")).level).toBe("ok");
  expect(checkOpenFiles(limits("256"))).toMatchObject({
    level: "warn",
    text: expect.stringContaining("LimitNOFILE"),
  });
  expect(checkOpenFiles(undefined).level).toBe("warn");
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
    text: expect.stringContaining("run 'make setup'"),
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
    text: expect.stringContaining("nowhere/python: run 'make setup'"),
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
  expect(checkVerification(1).level).toBe("ok");
  expect(checkVerification(0)).toMatchObject({
    level: "warn",
    text: expect.stringContaining("its own proofs"),
  });
});

test("the report has one line for each check, its level first", () => {
  const lines = report([
    ["memory", { level: "ok", text: "enough" }],
    ["a longer name", { level: "fail", text: "do this" }],
  ]);
  expect(lines).toBe("ok    memory         enough\nFAIL  a longer name  do this\n");
});
