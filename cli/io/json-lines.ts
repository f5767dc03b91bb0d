/**
 * The lines of `--json`: each is a response of the service as one JSON object, with bytes
 * in hex.
 */
import { closeSync, openSync, writeSync } from "node:fs";
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
import { messageToHexJson } from "../../server/json-message.js";
import { usageError } from "./command.js";
import { reasonOf } from "./read-input.js";

export const jsonLinesOption = () => new Option("--json", "print one JSON object a line");

/** The line for the answer to a submission: `{"accepted": …}` or `{"skipped": …}`. */
export function answerJsonLine(answer: SubmitSnapshotResponse): string {
  return `${JSON.stringify(messageToHexJson(SubmitSnapshotResponseSchema, answer))}\n`;
}

/** The line for a streamed event: `{"outcome": …}`, `{"summary": …}` and so on, with its cursor. */
export function eventJsonLine(
  event: StreamResultsResponse["event"],
  cursor: StreamResultsResponse["cursor"] = "",
): string {
  const response = create(StreamResultsResponseSchema, { event, cursor });
  return `${JSON.stringify(messageToHexJson(StreamResultsResponseSchema, response))}\n`;
}

/**
 * The file of `--out`; its old content is deleted. Make it before any call, so that a wrong name is
 * reported first. The constructor throws `CommandError` with exit code 2 for a file that cannot be
 * opened.
 */
export class LinesFile {
  readonly #descriptor: number;

  constructor(path: string) {
    try {
      this.#descriptor = openSync(path, "w");
    } catch (cause) {
      const problem = `cannot write --out ${path}: ${reasonOf(cause)}`;
      throw usageError(problem, "name another file", cause);
    }
  }

  write(line: string): void {
    writeSync(this.#descriptor, line);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
