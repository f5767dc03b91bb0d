/** Doctor's check of the listeners, with somebody there and with nobody. */
import { once } from "node:events";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { checkAddress } from "../../../cli/doctor/address-check.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import { freshPath } from "../../helpers/command-line.js";
import { files, mutualTlsSettings } from "../../transport/mutual-tls.js";
import { startTestService } from "../../helpers/start-service.js";

test("an address is ok when free, warned of when a service of ours answers there", async () => {
  const service = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  const ours = { level: "warn", text: expect.stringContaining("lean-aggregator test runs on") };
  try {
    expect(await checkAddress("127.0.0.1:0", "nodes")).toMatchObject({ level: "ok" });
    expect(await checkAddress(service.addresses[0] ?? "", "nodes")).toMatchObject(ours);
    expect(await checkAddress(service.probesAddress ?? "", "probes")).toMatchObject({
      level: "warn",
      text: expect.stringContaining("lean-aggregator's listener for probes runs on"),
    });
    expect(await checkAddress(service.operatorAddress ?? "", "operator")).toMatchObject({
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
    const [address = ""] = service.addresses;
    const same = warns("a service with the same certificate runs on");
    expect(await checkAddress(address, "nodes", files.server)).toMatchObject(same);
    const other = warns("a TLS service with another certificate runs on");
    for (const file of [files.node, freshPath("none")]) {
      expect(await checkAddress(address, "nodes", file)).toMatchObject(other);
    }
    const { port } = plain.address() as AddressInfo;
    expect(await checkAddress(`127.0.0.1:${port}`, "nodes", files.server)).toMatchObject({
      level: "fail",
      text: expect.stringContaining(`pid ${process.pid} (node) listens on`),
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
    const taken = fails(`pid ${process.pid} (node) listens on`);
    expect(await checkAddress(`127.0.0.1:${port}`, "nodes")).toMatchObject(taken);
    expect(await checkAddress(`127.0.0.1:${port}`, "probes")).toMatchObject(taken);
    expect(await checkAddress(`127.0.0.1:${port}`, "operator")).toMatchObject(taken);
  } finally {
    other.close();
  }
  // 192.0.2.0/24 is set aside for documentation: no machine has an address in it.
  expect(await checkAddress("192.0.2.1:0", "nodes")).toMatchObject(
    fails("this machine does not have that address"),
  );
  expect(await checkAddress(`unix:${freshPath("none")}/socket`, "nodes")).toMatchObject(
    fails("does not exist; create it"),
  );
});

test("a socket that a dead service left is fine, a file in its place is not, and both stay", async () => {
  const [path, left, file] = ["socket", "left", "file"].map(freshPath);
  const server = createServer().listen(path);
  await once(server, "listening");
  renameSync(path ?? "", left ?? ""); // closing removes `path` alone
  server.close();
  writeFileSync(file ?? "", "");
  expect(await checkAddress(`unix:${left}`, "nodes")).toEqual({
    level: "ok",
    text: `unix:${left} is free: 'serve' replaces the socket that a dead service left there`,
  });
  expect(await checkAddress(`unix:${file}`, "nodes")).toEqual({
    level: "fail",
    text:
      `cannot listen on unix:${file}: ${file} is a file, not a socket; ` +
      "remove it, or choose another path",
  });
  expect([left, file].map((each) => existsSync(each ?? ""))).toEqual([true, true]);
});
