/** Doctor's check of the listeners, with somebody there and with nobody. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { checkAddress } from "../../../cli/doctor/address-check.js";
import { startFakeProver } from "../../../server/prover/fake.js";
import { freshPath } from "../../helpers/command-line.js";
import { files, mutualTlsSettings } from "../../transport/mutual-tls.js";
import { startTestService } from "../../helpers/start-service.js";

test("an address is ok when free, warned of when a service of ours answers there", async () => {
  const service = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  const ours = { level: "warn", text: expect.stringContaining("lean-aggregator test runs on") };
  try {
    expect(await checkAddress("127.0.0.1:0", "grpc")).toMatchObject({ level: "ok" });
    expect(await checkAddress(service.grpcAddresses[0] ?? "", "grpc")).toMatchObject(ours);
    expect(await checkAddress(service.httpAddress, "http")).toMatchObject(ours);
    expect(await checkAddress(service.adminAddress ?? "", "admin")).toMatchObject({
      level: "warn",
      text: expect.stringContaining("lean-aggregator's admin listener runs on"),
    });
  } finally {
    await service.close();
  }
});

test("over TLS the certificate says whether a service of ours answers", async () => {
  const prover = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const service = await startTestService(prover, mutualTlsSettings);
  const plain = createServer((socket) => socket.end("no TLS\n")).listen(0, "127.0.0.1");
  await once(plain, "listening");
  const warns = (text: string) => ({ level: "warn", text: expect.stringContaining(text) });
  try {
    for (const [address, kind] of [
      [service.grpcAddresses[0] ?? "", "grpc"],
      [service.httpAddress, "http"],
    ] as const) {
      const same = warns("a service with the same certificate runs on");
      expect(await checkAddress(address, kind, files.server)).toMatchObject(same);
      const other = warns("a TLS service with another certificate runs on");
      expect(await checkAddress(address, kind, files.node)).toMatchObject(other);
      expect(await checkAddress(address, kind, freshPath("none"))).toMatchObject(other);
    }
    const { port } = plain.address() as AddressInfo;
    expect(await checkAddress(`127.0.0.1:${port}`, "grpc", files.server)).toMatchObject({
      level: "fail",
      text: expect.stringContaining("another program listens"),
    });
  } finally {
    plain.close();
    await service.close();
  }
});

test("an address of another program, of another machine, or without its folder fails", async () => {
  const other = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const fails = (text: string) => ({ level: "fail", text: expect.stringContaining(text) });
  try {
    const taken = fails("another program listens");
    expect(await checkAddress(`127.0.0.1:${port}`, "grpc")).toMatchObject(taken);
    expect(await checkAddress(`127.0.0.1:${port}`, "http")).toMatchObject(taken);
    expect(await checkAddress(`127.0.0.1:${port}`, "admin")).toMatchObject(taken);
  } finally {
    other.close();
  }
  // 192.0.2.0/24 is set aside for documentation: no machine has an address in it.
  expect(await checkAddress("192.0.2.1:0", "grpc")).toMatchObject(fails("EADDRNOTAVAIL"));
  expect(await checkAddress(`unix:${freshPath("none")}/socket`, "grpc")).toMatchObject(
    fails("a folder"),
  );
});

test("a socket file that is left over is warned of", async () => {
  const path = freshPath("socket");
  writeFileSync(path, "");
  expect(await checkAddress(`unix:${path}`, "grpc")).toMatchObject({ level: "warn" });
});
