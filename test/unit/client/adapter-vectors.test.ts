/** Runs the language-neutral vectors of the adapter's protocol against its state machine. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { AdapterEvent } from "../../../client/adapter/events.js";
import { transitionAdapter } from "../../../client/adapter/rules.js";
import { createAdapterState } from "../../../client/adapter/state.js";

const FOLDER = new URL("../../vectors/adapter/", import.meta.url);

interface VectorFile {
  rules: number[];
  cases: {
    name: string;
    hasVerifyHook: boolean;
    endpoints: [string, ...string[]];
    steps: { atMs: number; event: Record<string, unknown>; effects: unknown[] }[];
  }[];
}

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));

function load(name: string): VectorFile {
  return JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as VectorFile;
}

function decode(event: Record<string, unknown>): AdapterEvent<string> {
  const { participants, ...rest } = event;
  const decoded =
    typeof participants === "string"
      ? { ...rest, participants: new Uint8Array(Buffer.from(participants, "hex")) }
      : rest;
  return decoded as unknown as AdapterEvent<string>;
}

describe.each(names)("adapter vectors in %s", (name) => {
  it.each(load(name).cases)("$name", ({ hasVerifyHook, endpoints, steps }) => {
    let state = createAdapterState<string>({ endpoints, hasVerifyHook });
    steps.forEach(({ atMs, event, effects }, index) => {
      const step = transitionAdapter(state, decode(event), atMs);
      ({ state } = step);
      expect(step.effects, `step ${index}: ${JSON.stringify(event)}`).toEqual(effects);
    });
  });
});

it("every rule of PROTOCOL.md has a vector", () => {
  const text = readFileSync(new URL("../../../client/PROTOCOL.md", import.meta.url), "utf8");
  const rules = [...text.matchAll(/^(\d+)\. /gm)].map((match) => Number(match[1]));
  const covered = new Set(names.flatMap((name) => load(name).rules));
  expect(rules.length).toBeGreaterThan(0);
  expect(rules.filter((rule) => !covered.has(rule))).toEqual([]);
});
