import type { Socket } from "node:net";
import { expect, test } from "vitest";
import { limits } from "../../../server/limits.js";
import { Pipeline } from "../../../server/net/pipeline.js";

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("a call begins in the turn after the one before has ended, and in a new connection at once", async () => {
  const pipeline = new Pipeline({ destroyed: false } as Socket);
  const begun: number[] = [];
  for (const call of [1, 2, 3]) pipeline.add(() => begun.push(call));
  for (const so of [[1], [1, 2], [1, 2, 3]]) {
    await nextTurn();
    expect(begun).toEqual(so);
    pipeline.end();
    expect(begun).toEqual(so);
  }
  await nextTurn();
  pipeline.add(() => begun.push(4));
  expect(begun).toEqual([1, 2, 3, 4]);
});

test("none begins once the connection is closed", async () => {
  const socket = { destroyed: false };
  const pipeline = new Pipeline(socket as Socket);
  const begun: number[] = [];
  for (const call of [1, 2]) pipeline.add(() => begun.push(call));
  socket.destroyed = true;
  pipeline.end();
  await nextTurn();
  expect(begun).toEqual([1]);
});

test("one has room for as many calls as a connection may have, and again when one has ended", async () => {
  const pipeline = new Pipeline({ destroyed: false } as Socket);
  for (let count = 0; count < limits.callsPerConnectionMax; count++) {
    expect(pipeline.isFull).toBe(false);
    pipeline.add(() => undefined);
  }
  expect(pipeline.isFull).toBe(true);
  pipeline.end();
  await nextTurn();
  expect(pipeline.isFull).toBe(false);
});
