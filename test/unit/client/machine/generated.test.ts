/** That the generated sequences are those of the generator, and that they reach what they should. */
import { expect, it } from "vitest";
import { generatedFiles } from "../../../../tools/vectors/files.js";
import { filesOf, loadSequences, readVector } from "../../../helpers/machine-vectors.js";

it("the committed sequences are those that `npm run vectors` writes", () => {
  const files = generatedFiles();
  expect(filesOf("generated", ".ndjson")).toEqual([...files.keys()]);
  for (const [name, text] of files)
    expect(readVector(`generated/${name}`) === text, name).toBe(true);
});

it("every kind of effect and result, and every reason of the machine, occurs often", () => {
  const counts = new Map<string, number>();
  const count = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const { steps } of loadSequences())
    for (const { effects } of steps)
      for (const { kind, reason, result } of effects) {
        count(kind);
        if (reason !== undefined) count(reason);
        if (result !== undefined) count(`deliver ${result.kind}`);
      }
  const rare = [...counts].filter(([, times]) => times < 5);
  expect(rare).toEqual([]);
  // 14 kinds of effects, 5 of results, and all reasons but the two of the shell.
  expect([...counts.keys()].sort()).toHaveLength(14 + 5 + 11);
});
