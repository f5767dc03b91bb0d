/**
 * The bounded form of `make fuzz`: for every target the committed corpus, and inputs made of it that
 * are the same on every machine. What `make fuzz` finds becomes a file of the corpus.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CORPUS, readCorpus } from "../../tools/fuzz/engine/corpus.js";
import type { Finding } from "../../tools/fuzz/engine/fuzzer.js";
import { Fuzzer } from "../../tools/fuzz/engine/fuzzer.js";
import type { FuzzRun } from "../../tools/fuzz/engine/target.js";
import { loadTargets } from "../../tools/fuzz/engine/target.js";

const SEED = 20_261_124;
/** For each target: as many as fit in its share of a minute on a busy machine. */
const MS_MAX = 3000;
const EXECUTIONS_MAX = 1500;

const targets = await loadTargets();

describe.each(targets)("$target.name", ({ target }) => {
  let instance: FuzzRun;
  let fuzzer: Fuzzer;

  beforeAll(async () => {
    instance = await target.open();
    fuzzer = new Fuzzer(target, instance, { seed: SEED, corpus: readCorpus(CORPUS, target.name) });
  });
  afterAll(() => instance.close?.());

  test("every property holds for the corpus", async () => {
    const findings: Finding[] = [];
    for (const input of fuzzer.corpus) {
      const finding = await fuzzer.try(input);
      if (finding !== undefined) findings.push(finding);
    }
    expect(findings.map(({ error }) => error)).toEqual([]);
    expect(fuzzer.executions).toBeGreaterThan(0);
  });

  test("and for inputs made of it", async () => {
    const endAtMs = performance.now() + MS_MAX;
    while (fuzzer.executions < EXECUTIONS_MAX && performance.now() < endAtMs) {
      const finding = await fuzzer.try(fuzzer.next());
      if (finding === undefined) continue;
      const { error, input } = await fuzzer.shrink(finding);
      const hex = Buffer.from(input).toString("hex");
      expect.fail(`seed ${SEED}, execution ${fuzzer.executions}: ${error}\ninput (hex): ${hex}`);
    }
  });
});
