/** Whatever bytes come, decoding gives a whole message within the limits or `FleetMessageError`. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  decodeFromHost,
  decodeToDoor,
  decodeToHost,
  encodeFromHost,
  encodeToDoor,
  encodeToHost,
  FleetMessageError,
} from "../../../server/fleet/wire/codec.js";
import { limits } from "../../../server/limits.js";
import { costBounds } from "../../../server/work/costs/cost-bounds.js";
import { learn, optimisticMs, pessimisticMs } from "../../../server/work/costs/cost-model.js";
import { modelOf } from "../../../server/work/costs/costs.js";
import * as examples from "../../../tools/harness/wire/fleet-messages.js";

const sides = [
  ["FromHost", examples.fromHost.map(encodeFromHost), decodeFromHost],
  ["ToHost", examples.toHost.map(encodeToHost), decodeToHost],
  ["ToDoor", examples.toDoor.map(encodeToDoor), decodeToDoor],
] as const;

/** Bytes of a message of which some are changed, or that is cut. */
const damaged = (messages: readonly Uint8Array[]) =>
  fc
    .record({
      bytes: fc.constantFrom(...messages),
      changes: fc.array(fc.record({ at: fc.nat(2000), to: fc.nat(255) }), { maxLength: 3 }),
      cutTo: fc.nat(3000),
    })
    .map(({ bytes, changes, cutTo }) => {
      const copy = bytes.slice(0, cutTo);
      for (const { at, to } of changes) if (copy.length > 0) copy[at % copy.length] = to;
      return copy;
    });

describe.each(sides)("%s", (_, messages, decode) => {
  test("damaged in any way is refused, or taken without a value that makes no sense", () => {
    fc.assert(
      fc.property(fc.oneof(damaged(messages), fc.uint8Array({ maxLength: 300 })), (bytes) => {
        let read;
        try {
          read = decode(bytes);
        } catch (error) {
          if (!(error instanceof FleetMessageError)) throw error;
          expect(error.message.length).toBeLessThan(300);
          return;
        }
        expect(JSON.stringify(read)).not.toMatch(/NaN|Infinity/);
        expect(numbersOf(read).every(Number.isFinite)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

function numbersOf(value: unknown): number[] {
  if (typeof value === "number") return [value];
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  return Object.values(value).flatMap(numbersOf);
}

test("any costs that are taken predict every shape, also after they have learned", () => {
  const log = fc.double({ min: -20, max: 20, noNaN: true });
  // Any matrix times itself, transposed, is a covariance.
  const root = fc.array(fc.double({ min: -0.4, max: 0.4, noNaN: true }), {
    minLength: 25,
    maxLength: 25,
  });
  const of = (values: readonly number[], row: number, at: number) => values[row * 5 + at] ?? 0;
  const costs = fc.record({
    logMs: fc.array(log, { minLength: 5, maxLength: 5 }),
    covariance: root.map((values) =>
      [0, 1, 2, 3, 4].map((row) =>
        [0, 1, 2, 3, 4].map((column) =>
          [0, 1, 2, 3, 4].reduce(
            (sum, at) => sum + of(values, row, at) * of(values, column, at),
            0,
          ),
        ),
      ),
    ),
    scatter: fc.double({ min: costBounds.scatterMin, max: costBounds.scatterMax, noNaN: true }),
    ageMs: fc.double({ min: 0, max: 1e15, noNaN: true }),
  });
  const kinds = fc.constantFrom("fold" as const, "merge" as const);
  const shapes = [
    { raws: 1, children: 0 },
    { raws: 0, children: 2 },
    { raws: limits.validatorsMax, children: 0 },
    { raws: limits.validatorsMax, children: limits.childrenMax },
  ];
  fc.assert(
    fc.property(costs, fc.constantFrom(...shapes), kinds, ({ ageMs, ...model }, shape, kind) => {
      const shared = { kind, logInvRate: 3, model: { ...model, atMs: 0 }, ageMs };
      const report = { ...examples.report, costs: [shared] };
      const read = decodeFromHost(
        encodeFromHost({
          ...{ run: examples.hostRun, kind: "announce", device: "cpu", sequence: 1 },
          report,
        }),
      );
      if (read.kind !== "announce") throw new Error("it is another message");
      const cost = modelOf(read.report.costs, {
        logInvRate: 3,
        ...(kind === "merge" && { messages: 2 }),
      });
      for (const each of [cost, learn(cost, shape, 1000, 5000)]) {
        const [low, high] = [optimisticMs(each, shape), pessimisticMs(each, shape)];
        expect(low).toBeGreaterThan(0);
        expect(high).toBeGreaterThanOrEqual(low);
        expect(Number.isFinite(high)).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});
