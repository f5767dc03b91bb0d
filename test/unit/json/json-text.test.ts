import { describe, expect, test } from "vitest";
import { JsonError, parseJsonBytes, parseJsonText } from "../../../server/json/json-text.js";

function problemOf(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof JsonError) return error.message;
    throw error;
  }
  return "none";
}

test.each([
  ['{"a":1,}', /^is not JSON at line 1 column 8: /],
  ["[1,\n 2,\n]", /^is not JSON at line 3 column 1: /],
  ['{"a": NaN}', /^is not JSON at line 1 column 7: /],
  ['{"a": Infinity}', /^is not JSON at line 1 column 7: /],
  ['{"a": -}', /^is not JSON at line 1 column 8: /],
  ['{"a": 01}', /^is not JSON at line 1 column 8: /],
  ['{"a": .5}', /^is not JSON at line 1 column 7: /],
  ['{"a": 0x10}', /^is not JSON at line 1 column 8: /],
  ['// comment\n{"a": 1}', /^is not JSON at line 1 column 1: /],
  ['{"a": 1} // comment', /^is not JSON at line 1 column 10: /],
  ["{'a': 1}", /^is not JSON at line 1 column 2: /],
  ["{a: 1}", /^is not JSON at line 1 column 2: /],
  ['{"a": 1 "b": 2}', /^is not JSON at line 1 column 9: /],
  ['{"a": "x\ny"}', /^is not JSON at line 1 column 9: .*\\n/],
  ['{"a": "\\x"}', /^is not JSON at line 1 column 8: /],
  ['{"a": 1}{"a": 1}', /^is not JSON at line 1 column 9: /],
  ["", /^is not JSON at line 1 column 1: /],
  [`${"[".repeat(100_000)}`, /^is not JSON/],
])("%j is refused with its place", (text, message) => {
  const problem = problemOf(() => parseJsonText(text));
  expect(problem).toMatch(message);
  expect(problem).not.toMatch(/\p{Cc}/u);
});

test.each([
  ['{"a":1,"a":1}', "a: is there twice, again at line 1 column 8"],
  ['{"a":1,\n "a":2}', "a: is there twice, again at line 2 column 2"],
  ['{"a":1,"\\u0061":2}', "a: is there twice, again at line 1 column 8"],
  ['{"x":[{"b":1},{"b":1,"c":[0],"b":2}]}', "x[1].b: is there twice, again at line 1 column 30"],
  ['{"x":{"b":"\\"\\\\","b":","}}', "x.b: is there twice, again at line 1 column 18"],
  ['[[],[{"k":1},{"":1,"":2}]]', '[1][1]."": is there twice, again at line 1 column 20'],
  ['{"\\ud800":1,"\\ud800":2}', "\uFFFD: is there twice, again at line 1 column 13"],
  [
    `{"${"k".repeat(99)}\u{1F600}":1,"${"k".repeat(99)}\u{1F600}":2}`,
    `${"k".repeat(99)}…: is there twice, again at line 1 column 108`,
  ],
  [
    `${'{"d":'.repeat(1000)}{"k":1,"k":2}${"}".repeat(1000)}`,
    `…${".d".repeat(15)}.k: is there twice, again at line 1 column 5008`,
  ],
  ['{"__proto__":1,"__proto__":2}', "__proto__: is there twice, again at line 1 column 16"],
  [`{"a" ${" ".repeat(500)}: 1, "a" \n: 2}`, "a: is there twice, again at line 1 column 511"],
])("the key that is there twice in %j is refused with its path", (text, message) => {
  expect(problemOf(() => parseJsonText(text))).toBe(message);
});

test.each([
  '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
  '{"a":":","b":"\\":\\"","c":"\\\\","d":"{\\"a\\":1,\\"a\\":2}"}',
  '["a","a",":",null,true,1e5]',
  ' \t\r\n{ "a" : [ ] , "b" : { } } \n',
  '"a"',
  "null",
  '{"constructor":1,"__proto__":{"a":1},"length":2}',
])("%j has no key twice", (text) => {
  expect(parseJsonText(text)).toEqual(JSON.parse(text));
});

describe("bytes", () => {
  const bytes = (text: string, encoding: BufferEncoding = "utf8") => Buffer.from(text, encoding);

  test("with a byte order mark are read without it", () => {
    expect(parseJsonBytes(bytes('\uFEFF{"a":1}'))).toEqual({ a: 1 });
    expect(problemOf(() => parseJsonBytes(bytes('\uFEFF\uFEFF{"a":1}')))).toBe("none");
  });

  test("that are not UTF-8 are refused with their place", () => {
    const wrong = Buffer.concat([bytes('{\n"a": "é'), Buffer.from([0xff]), bytes('"}')]);
    expect(problemOf(() => parseJsonBytes(wrong))).toBe("is not UTF-8 at line 2 column 8");
  });

  test.each(["\uFEFF{}", "\uFFFE{}"])("in UTF-16 are named so", (text) => {
    const problem = problemOf(() => parseJsonBytes(bytes(text, "utf16le")));
    expect(problem).toBe("is UTF-16: save it as UTF-8");
  });

  test("of a long request are not searched for the place of an error", () => {
    const long = `{"a": "${"x".repeat(300_000)}", "b": ?}`;
    const startMs = performance.now();
    expect(problemOf(() => parseJsonBytes(bytes(long)))).toMatch(/^is not JSON: unexpected token/);
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(problemOf(() => parseJsonText(long))).toMatch(/^is not JSON at line 1 column 300016: /);
  });
});
