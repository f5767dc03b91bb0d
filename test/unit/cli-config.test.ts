/** Settings: which source wins, and what is said when one is wrong. */
import { expect, test } from "vitest";
import { ConfigError, parseConfig } from "../../server/config.js";

function problemsOf(...sources: Record<string, unknown>[]): readonly string[] {
  try {
    parseConfig(...sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ key }) => key);
    throw error;
  }
  return [];
}

test("an address that is open to others is reported under its own name", () => {
  expect(problemsOf({ http: "0.0.0.0:80" })).toEqual(["http"]);
  expect(problemsOf({ listen: ["127.0.0.1:0", "0.0.0.0:80"] })).toEqual(["listen"]);
});

test("every problem is reported at once, each under its key", () => {
  const wrong = { listen: "here", http: "nowhere", fenceMs: "soon", lisen: 1, spam: 2 };
  expect(problemsOf(wrong).toSorted()).toEqual(["fenceMs", "http", "lisen", "listen", "spam"]);
});
