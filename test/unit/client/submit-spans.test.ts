/** The spans of the node's adapter, with tracers that work and tracers that do not. */
import { expect, test } from "vitest";
import { SubmitSpans } from "../../../client/adapter/submit-spans.js";
import type { SubmitTracer } from "../../../client/adapter/submit-spans.js";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";
const submitted = { requestId: "r1", nodeId: "n1", slot: 9, groups: 2 };

function tracing(traceFlags = 1) {
  const log: unknown[] = [];
  const tracer: SubmitTracer = {
    startSpan: (name, { attributes }) => {
      log.push([name, attributes]);
      return {
        spanContext: () => ({ traceId, spanId, traceFlags }),
        setAttribute: (key, value) => log.push([key, value]),
        end: () => log.push("end"),
      };
    },
  };
  return { log, spans: new SubmitSpans(tracer, (error) => log.push(error)) };
}

test("a span lasts until the last group has ended, and the service gets its context", () => {
  const { spans, log } = tracing();
  expect(spans.start(submitted)).toBe(`00-${traceId}-${spanId}-01`);
  spans.groupEnded("r1");
  expect(log).toHaveLength(1);
  spans.groupEnded("r1");
  spans.groupEnded("r1");
  const attributes = { "lean.node": "n1", "lean.slot": 9, "lean.request": "r1", "lean.groups": 2 };
  expect(log).toEqual([["submit", attributes], "end"]);
});

test("the service learns not to keep what the node's sampler drops", () => {
  expect(tracing(0).spans.start(submitted)).toBe(`00-${traceId}-${spanId}-00`);
});

test("a skipped snapshot ends its span with the reason, and close ends what is left", () => {
  const { spans, log } = tracing();
  spans.start(submitted);
  spans.start({ ...submitted, requestId: "r2" });
  spans.skipped("r1", "in_flight");
  spans.close();
  spans.close();
  expect(log.slice(2)).toEqual([["lean.skip_reason", "in_flight"], "end", "end"]);
});

test("the node's own header goes first, and an invalid one is not sent", () => {
  const own = `00-${"a".repeat(32)}-${"b".repeat(16)}-00`;
  const without = new SubmitSpans(undefined, () => undefined);
  expect(without.start(submitted, own)).toBe(own);
  expect(without.start(submitted, "x\r\nauthorization: y")).toBeUndefined();
  expect(tracing().spans.start(submitted, own)).toBe(own);
});

test("a tracer that throws is reported, and the snapshot goes out without a context", () => {
  const errors: unknown[] = [];
  const throws = () => {
    throw new Error("no tracer");
  };
  const spans = new SubmitSpans({ startSpan: throws }, (error) => errors.push(error));
  expect(spans.start(submitted)).toBeUndefined();
  spans.groupEnded("r1");
  spans.skipped("r1", "in_flight");
  expect(errors).toHaveLength(1);
});
