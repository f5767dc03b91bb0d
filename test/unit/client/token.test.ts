/** A client's token goes with every call, to nobody else, and into no error. */
import { writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { tokenOf } from "../../../cli/io/connect.js";
import { exitCodes } from "../../../cli/io/command.js";
import { metadataWith } from "../../../client/rpc/token.js";
import { freshPath } from "../../helpers/command-line.js";

test("a token goes over TLS, to loopback and to Unix sockets, and nowhere else", () => {
  const open = (address: string) => () =>
    new AggregatorClient({ address, token: "lagg_secret" }).close();
  for (const address of [
    "127.0.0.1:1",
    "localhost:1",
    "[::1]:1",
    "unix:/run/a.sock",
    "dns:localhost:1",
    "http://127.0.0.1:1",
    "https://node-1:1",
  ]) {
    expect(open(address)).not.toThrow();
  }
  for (const address of [
    "10.0.0.7:1",
    "127.0.0.1.example:1",
    "node-1:1",
    "localhost.example:1",
    "http://node-1:1",
  ]) {
    expect(open(address)).toThrow(TypeError);
    expect(open(address)).not.toThrow(/secret/);
  }
});

test("the token is read before each call, and must be valid", () => {
  let token = "lagg_1";
  const sent = () => metadataWith(() => token).get("authorization");
  expect(sent()).toEqual(["Bearer lagg_1"]);
  token = "lagg_2";
  expect(sent()).toEqual(["Bearer lagg_2"]);
  for (token of ["", "lagg\nsecret", "läng_secret"]) {
    expect(sent).toThrow(expect.objectContaining({ kind: "unauthorized" }));
    expect(sent).not.toThrow(/secret/);
  }
  const absent = () => {
    throw new Error("no such file");
  };
  expect(() => metadataWith(absent)).toThrow(/the token is missing: no such file/);
  expect(metadataWith(undefined).get("authorization")).toEqual([]);
});

test("a call without a valid token rejects as unauthorized before it starts", async () => {
  const client = new AggregatorClient({ address: "127.0.0.1:1", token: "" });
  const unauthorized = expect.objectContaining({ kind: "unauthorized" });
  await expect(client.getServerInfo()).rejects.toEqual(unauthorized);
  await expect(client.streamResults({}).next()).rejects.toEqual(unauthorized);
  client.close();
});

test("--token-file is read for each call, and refused at once when it is empty or missing", () => {
  const path = freshPath("token");
  writeFileSync(path, "lagg_1\n");
  const token = tokenOf(path);
  expect(token?.()).toBe("lagg_1");
  writeFileSync(path, "lagg_2\n");
  expect(token?.()).toBe("lagg_2");
  writeFileSync(path, "\n");
  expect(token?.()).toBe("lagg_1");
  const usage = expect.objectContaining({ exitCode: exitCodes.usage });
  expect(() => tokenOf(path)).toThrow(usage);
  expect(() => tokenOf(freshPath("none"))).toThrow(usage);
  expect(tokenOf(undefined)).toBeUndefined();
});
