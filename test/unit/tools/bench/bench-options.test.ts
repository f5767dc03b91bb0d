/** What `make bench` understands. */
import { expect, test } from "vitest";
import { parseOptions, usage } from "../../../../tools/bench/options.js";

const names = ["ack", "overhead"];

test("without a choice everything is measured", () => {
  expect(parseOptions({}, names).only).toEqual(names);
});

test("what takes long is measured where it is named", () => {
  expect(parseOptions({}, names, ["ack"]).only).toEqual(["ack"]);
  expect(parseOptions({ ONLY: "overhead" }, names, ["ack"]).only).toEqual(["overhead"]);
});

test("the environment sets counts and picks measurements", () => {
  const options = parseOptions({ PAIRS: "2", ACKS: "40", TICKS: "10", ONLY: "ack" }, names);
  expect(options).toEqual({
    ...{ pairs: 2, acks: 40, ticks: 10, only: ["ack"] },
    messages: [2, 3, 4, 8],
  });
});

test.each(["0", "-1", "1.5", "many"])("%s pairs are refused, naming the variable", (PAIRS) => {
  expect(() => parseOptions({ PAIRS }, names)).toThrow(`PAIRS is "${PAIRS}"`);
});

test("merges have 1 to 8 messages", () => {
  expect(parseOptions({ MESSAGES: "1,8" }, names).messages).toEqual([1, 8]);
  for (const MESSAGES of ["", "0", "9", "2,x"]) {
    expect(() => parseOptions({ MESSAGES }, names)).toThrow(`MESSAGES is "${MESSAGES}"`);
  }
});

test("an unknown measurement is refused, naming those there are", () => {
  expect(() => parseOptions({ ONLY: "ack,latency" }, names)).toThrow(
    "ONLY names latency, expected some of ack, overhead",
  );
});

test("the help names every measurement", () => {
  expect(usage(names)).toContain("ONLY=ack,overhead");
});
