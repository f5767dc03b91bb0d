/** How often a proof is tried that is predicted to miss. */
import { expect, test } from "vitest";
import { Exploration } from "../../../../server/schedule/forecast/exploration.js";

const MINUTE_MS = 60_000;

test("a first shape may be tried at once, and another one five minutes later", () => {
  const tries = new Exploration();
  expect(tries.mayTry({ raws: 64, children: 0 }, 0)).toBe(true);
  tries.tried({ raws: 64, children: 0 }, 0);
  expect(tries.mayTry({ raws: 8, children: 0 }, 5 * MINUTE_MS - 1)).toBe(false);
  expect(tries.mayTry({ raws: 8, children: 0 }, 5 * MINUTE_MS)).toBe(true);
});

test("a shape that was tried waits ten minutes, so that other shapes get a try", () => {
  const tries = new Exploration();
  tries.tried({ raws: 64, children: 0 }, 0);
  expect(tries.mayTry({ raws: 100, children: 0 }, 10 * MINUTE_MS - 1)).toBe(false);
  expect(tries.mayTry({ raws: 64, children: 1 }, 5 * MINUTE_MS)).toBe(true);
  expect(tries.mayTry({ raws: 64, children: 0 }, 10 * MINUTE_MS)).toBe(true);
});

test("a shape that was proved is not locked out, and waits ten minutes", () => {
  const tries = new Exploration();
  tries.proved({ raws: 64, children: 0 }, 0);
  expect(tries.mayTry({ raws: 100, children: 0 }, 10 * MINUTE_MS - 1)).toBe(false);
  expect(tries.mayTry({ raws: 8, children: 0 }, 0)).toBe(true);
  expect(tries.mayTry({ raws: 64, children: 0 }, 10 * MINUTE_MS)).toBe(true);
});
