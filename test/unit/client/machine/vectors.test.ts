/**
 * The language-neutral vectors against the adapter's machine, and nothing else: the mutation run
 * (`npm run mutate`) counts what these alone find.
 */
import { isDeepStrictEqual } from "node:util";
import { describe, expect, it } from "vitest";
import { createMachine, isIdle, transition } from "../../../../client/machine/index.js";
import type { VectorCase } from "../../../helpers/machine-vectors.js";
import { decodeEvent, loadCases, loadSequences } from "../../../helpers/machine-vectors.js";

function run({ steps, ...options }: VectorCase): void {
  let state = createMachine<string>(options);
  for (const [index, { atMs, event, effects, isIdle: idle }] of steps.entries()) {
    const step = transition(state, decodeEvent(event), atMs);
    ({ state } = step);
    if (!isDeepStrictEqual(step.effects, effects))
      expect(step.effects, `step ${index}: ${JSON.stringify(event)}`).toEqual(effects);
    if (idle !== undefined) expect(isIdle(state), `idle after step ${index}`).toBe(idle);
  }
}

describe.each([...loadCases()])("cases in %s", (_name, { cases }) => {
  it.each(cases)("$name", run);
});

it.each(loadSequences())("the generated sequence of $name", run);
