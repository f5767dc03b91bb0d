import { expect, test } from "vitest";
import { CallTurns } from "../../../server/net/call-turns.js";

class Stream {
  isDestroyed = false;
  constructor(readonly closed = false) {}
  destroy(): void {
    this.isDestroyed = true;
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("one call begins in a turn of the loop, and the rest in later ones, in their order", async () => {
  const turns = new CallTurns();
  const begun: number[] = [];
  for (const call of [1, 2, 3]) turns.add(new Stream(), () => begun.push(call));
  expect(begun).toEqual([]);
  for (const after of [[1], [1, 2], [1, 2, 3], [1, 2, 3]]) {
    await nextTurn();
    expect(begun).toEqual(after);
  }
  turns.add(new Stream(), () => begun.push(4));
  await nextTurn();
  expect(begun).toEqual([1, 2, 3, 4]);
});

test("one that was reset before its turn never begins, and takes no turn", async () => {
  const turns = new CallTurns();
  const begun: string[] = [];
  const reset = [new Stream(true), new Stream(true), new Stream(true)];
  for (const stream of reset) turns.add(stream, () => begun.push("reset"));
  turns.add(new Stream(), () => begun.push("kept"));
  await nextTurn();
  expect(begun).toEqual(["kept"]);
  expect(reset.filter(({ isDestroyed }) => !isDestroyed)).toEqual([]);
});
