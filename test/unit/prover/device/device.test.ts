/** Devices: which settings of them fit together, and how much memory they may take. */
import { expect, test } from "vitest";
import {
  bytesForStandby,
  deviceSchema,
  openDevice,
  overlappingDevices,
  proverCeilingBytes,
  startTimeoutMs,
} from "../../../../server/prover/device/device.js";

const device = (id: string, cores?: string) => deviceSchema.parse({ id, cores });

test("cores are ranges and single numbers; anything else is refused", () => {
  expect(device("a", "0-2,5").cores).toEqual([0, 1, 2, 5]);
  for (const cores of ["2-1", "a", "0-", "1,,2", "0-99999"])
    expect(() => device("a", cores), cores).toThrow();
});

test("a user is two numbers, and only a service that is root may give one", async () => {
  const withUser = (user: string) => deviceSchema.parse({ id: "a", user });
  expect(withUser("65534:10").user).toEqual({ uid: 65_534, gid: 10 });
  for (const user of ["nobody", "1", "1:", "-1:0"]) expect(() => withUser(user), user).toThrow();
  const unused = () => expect.unreachable();
  const opened = openDevice(withUser("1:1"), {
    addon: { lockFile: unused },
    readBackend: () => ({ library: "none", config: "" }),
    childPath: "none",
    runtimeDir: "none",
    threadsOf: () => 1,
    env: {},
    pid: 1,
    uid: 1000,
    nowMs: () => 0,
    sleep: unused,
    onWait: unused,
  });
  await expect(opened).rejects.toThrow(
    /device a sets a user, which only a service that runs as root may/,
  );
});

test("two devices on one core or of one name, or one of several on all cores, are a conflict", () => {
  expect(overlappingDevices([device("a", "0-1"), device("b", "2-3")])).toBeUndefined();
  expect(overlappingDevices([device("a")])).toBeUndefined();
  expect(overlappingDevices([device("a", "0-1"), device("b", "1")])).toBe(
    "devices a and b share core 1: give it to one of them",
  );
  expect(overlappingDevices([device("a"), device("b", "1")])).toMatch(/device a uses all cores/);
  expect(overlappingDevices([device("a", "0"), device("a", "1")])).toMatch(
    /^two devices are named a: /,
  );
});

test("a standby has the room that is left when every prover has grown to its ceiling", () => {
  expect(bytesForStandby(8e9, 1, 3e9)).toBe(4.5e9);
  expect(bytesForStandby(8.5e9, 2, 3e9)).toBe(1e9);
  expect(bytesForStandby(8e9, 3, 3e9)).toBeLessThan(0);
});

test("the ceiling of a prover is below the memory of the container, whatever is configured", () => {
  expect(proverCeilingBytes(8e9, 1, 3e9)).toBe(3e9);
  expect(proverCeilingBytes(2e9, 1, 3e9)).toBe(1.6e9);
  expect(proverCeilingBytes(4e9, 2, 3e9)).toBe(1.6e9);
});

test("without a setting a prover may hold half of its share, at least 3 GB, and below the memory", () => {
  expect(proverCeilingBytes(24e9, 1)).toBe(12e9);
  expect(proverCeilingBytes(24e9, 3)).toBe(4e9);
  expect(proverCeilingBytes(5e9, 1)).toBe(3e9);
  expect(proverCeilingBytes(2e9, 1)).toBe(1.6e9);
});

test("a setup may take ten times what its library says, within bounds", () => {
  expect(startTimeoutMs(0)).toBe(120_000);
  expect(startTimeoutMs(50)).toBe(20_000);
  expect(startTimeoutMs(5000)).toBe(50_000);
  expect(startTimeoutMs(1e9)).toBe(600_000);
});

test("a device has a prover by name or a backend of its own, not both", () => {
  const withProver = (more: object) => deviceSchema.safeParse({ id: "a", ...more });
  expect(withProver({ prover: "lean_multisig" }).success).toBe(true);
  expect(withProver({ prover: "other" }).error?.issues).toMatchObject([
    { path: ["prover"], message: "expected lean_pq or lean_multisig" },
  ]);
  const backend = { library: "/own.so", config: "" };
  expect(withProver({ prover: "lean_pq", backend }).error?.issues).toMatchObject([
    { path: ["prover"], message: 'the device has a "backend" of its own: remove one of them' },
  ]);
});

test("a cache folder is an absolute path, of a device that may write files", () => {
  const withCache = (more: object) => deviceSchema.safeParse({ id: "a", ...more });
  expect(withCache({ cacheFolder: "/var/cache/x", fileMb: 1 }).success).toBe(true);
  expect(withCache({ cacheFolder: "cache", fileMb: 1 }).success).toBe(false);
  expect(withCache({ cacheFolder: "/var/cache/x" }).error?.issues).toMatchObject([
    {
      path: ["cacheFolder"],
      message: 'no file can be written there: set "fileMb" of the device too',
    },
  ]);
});
