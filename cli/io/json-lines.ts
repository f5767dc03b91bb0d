/**
 * The lines of `--json`: each is a response of the service as one JSON object, with bytes
 * in hex.
 */
import { create } from "@bufbuild/protobuf";
import { Option } from "commander";
import type {
  StreamResultsResponse,
  SubmitSnapshotResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  StreamResultsResponseSchema,
  SubmitSnapshotResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { messageToHexJson } from "../../server/json/json-message.js";

export const jsonLinesOption = () => new Option("--json", "print one JSON object a line");

/** The line for the answer to a submission: `{"accepted": …}` or `{"skipped": …}`. */
export function answerJsonLine(answer: SubmitSnapshotResponse): string {
  return `${JSON.stringify(messageToHexJson(SubmitSnapshotResponseSchema, answer))}\n`;
}

/** The line for a streamed event: `{"outcome": …}`, `{"summary": …}` and so on. */
export function eventJsonLine(event: StreamResultsResponse["event"]): string {
  const response = create(StreamResultsResponseSchema, { event });
  return `${JSON.stringify(messageToHexJson(StreamResultsResponseSchema, response))}\n`;
}
