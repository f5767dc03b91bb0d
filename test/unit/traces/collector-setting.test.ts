/** The settings of the collector. */
import { expect, test } from "vitest";
import { ConfigError } from "../../../server/config/config-error.js";
import { parseConfig } from "../../../server/config/config.js";

test.each([
  ["http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"],
  ["http://[::1]:4318/", "http://[::1]:4318/v1/traces"],
  ["http://localhost/own", "http://localhost/own"],
  ["https://collector.example/v1/traces?tenant=a", "https://collector.example/v1/traces?tenant=a"],
])("%s posts to %s", (otlp, url) => {
  expect(parseConfig({ otlp })).toMatchObject({ otlp: url, otlpRatio: 1 });
});

test("plain text to another machine has to be allowed", () => {
  const otlp = "http://collector.example:4318";
  const { otlp: url } = parseConfig({ otlp, insecurePlaintextOnNetwork: true });
  expect(url).toBe(`${otlp}/v1/traces`);
});

test.each([
  ["otlp", { otlp: "http://collector.example:4318" }],
  ["otlp", { otlp: "http://10.0.0.7:4318" }],
  ["otlp", { otlp: "127.0.0.1:4318" }],
  ["otlp", { otlp: "ftp://127.0.0.1" }],
  ["otlp", { otlp: "http://user:secret@127.0.0.1:4318" }],
  ["otlp", { otlp: 'http://user:a/",secret@127.0.0.1:4318' }],
  ["otlp", { otlp: "http://127.0.0.1:4318/#x" }],
  ["otlp", { otlp: 4318 }],
  ["otlpHeaders", { otlpHeaders: "headers.json" }],
  ["otlpRatio", { otlpRatio: "0.5" }],
  ["otlpRatio", { otlpRatio: "1.5" }],
  ["otlpRatio", { otlpRatio: "often" }],
])("a wrong %s is named, without a password", (key, settings) => {
  const parse = () => parseConfig(settings);
  expect(parse).toThrow(ConfigError);
  try {
    parse();
  } catch (error) {
    const { problems } = error as ConfigError;
    expect(problems.map((problem) => problem.key)).toEqual([key]);
    expect(JSON.stringify(problems)).not.toContain("secret");
  }
});
