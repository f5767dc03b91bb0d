/** The memory budget: what does not fit is refused, and every byte is released. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemoryBudget } from "../../server/memory-budget.js";

test("what does not fit is refused and leaves the budget as it was", () => {
  const budget = new MemoryBudget(100);
  const share = budget.reserve(60);
  expect(budget.reserve(41)).toBeUndefined();
  expect(budget.heldBytes).toBe(60);
  expect(budget.reserve(40)).toBeDefined();
  expect(share?.resize(61)).toBe(false);
  expect(budget.heldBytes).toBe(100);
});

test("a share shrinks, grows where there is room, and is released once", () => {
  const seen: number[] = [];
  const budget = new MemoryBudget(100, (held) => seen.push(held));
  const share = budget.reserve(80);
  expect(share?.resize(10)).toBe(true);
  expect(share?.resize(100)).toBe(true);
  share?.release();
  share?.release();
  expect(share?.resize(50)).toBe(false);
  expect(seen).toEqual([80, 10, 100, 0]);
});

test("answers take a quarter at most, and what others hold besides", () => {
  const budget = new MemoryBudget(100);
  const first = budget.reserveForAnswer(20);
  expect(budget.reserveForAnswer(6)).toBeUndefined();
  expect(first?.resize(26)).toBe(false);
  expect(budget.reserveForAnswer(5)?.heldBytes).toBe(5);
  expect(budget.heldBytes).toBe(25);
  first?.release();
  const other = budget.reserve(90);
  expect(budget.reserveForAnswer(6)).toBeUndefined();
  other?.release();
  expect(budget.reserveForAnswer(20)).toBeDefined();
  expect(budget.heldBytes).toBe(25);
});

describe("what the calls of a connection may have", () => {
  const connection = () => ({ connection: {}, caller: undefined });

  test("is a quarter of what is free, and its first call all that fits", () => {
    const refused: string[] = [];
    const budget = new MemoryBudget(100, undefined, (cause) => refused.push(cause));
    const one = connection();
    const first = budget.reserveForCall(10, one);
    expect(first?.resize(22)).toBe(true);
    expect(first?.resize(23)).toBe(false);
    expect(budget.reserveForCall(1, one)).toBeUndefined();
    expect(refused).toEqual(["share"]);
    expect(budget.reserveForCall(60, connection())?.heldBytes).toBe(60);
    first?.release();
    expect(budget.reserveForCall(40, one)?.heldBytes).toBe(40);
  });

  test("is refused for the budget where no call of its size fits", () => {
    const refused: string[] = [];
    const budget = new MemoryBudget(100, undefined, (cause) => refused.push(cause));
    const one = connection();
    budget.reserveForCall(90, one);
    expect(budget.reserveForCall(11, one)).toBeUndefined();
    expect(budget.reserveForCall(11, connection())).toBeUndefined();
    expect(budget.reserveForCall(10, one)).toBeUndefined();
    expect(refused).toEqual(["budget", "budget", "share"]);
  });

  test("is less by what their caller holds on other connections", () => {
    const budget = new MemoryBudget(100);
    const of = (caller: string) => ({ connection: {}, caller });
    const other = budget.reserveForCall(30, of("one"));
    const shares = ["one", "two"].map((caller) => budget.reserveForCall(1, of(caller)));
    expect(shares.map((share) => share?.resize(11))).toEqual([false, true]);
    other?.release();
    expect(shares[0]?.resize(11)).toBe(true);
  });
});

test("over any order of reserving, resizing and releasing, the budget is the sum of its shares", () => {
  const step = fc.record({
    act: fc.constantFrom("reserve", "reserveForCall", "resize", "release"),
    bytes: fc.nat(60),
    at: fc.nat(10),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = new MemoryBudget(100);
      const sender = { connection: {}, caller: "one" };
      const shares: { share: NonNullable<ReturnType<typeof budget.reserve>>; bytes: number }[] = [];
      for (const { act, bytes, at } of steps) {
        const chosen = shares[at % Math.max(1, shares.length)];
        if (act === "reserve" || act === "reserveForCall") {
          const share =
            act === "reserve" ? budget.reserve(bytes) : budget.reserveForCall(bytes, sender);
          if (share !== undefined) shares.push({ share, bytes });
        } else if (act === "resize") {
          if (chosen?.share.resize(bytes) === true) chosen.bytes = bytes;
        } else if (chosen !== undefined) {
          chosen.share.release();
          shares.splice(shares.indexOf(chosen), 1);
        }
        expect(budget.heldBytes).toBe(shares.reduce((sum, each) => sum + each.bytes, 0));
        expect(budget.heldBytes).toBeLessThanOrEqual(100);
      }
      for (const { share } of shares) share.release();
      expect(budget.heldBytes).toBe(0);
      expect(budget.reserveForCall(100, sender)).toBeDefined();
    }),
  );
});
