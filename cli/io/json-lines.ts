/** The lines of `--json`: one JSON object a line, each a message of the contract with one key. */
import { closeSync, openSync, writeSync } from "node:fs";
import { create, toJsonString } from "@bufbuild/protobuf";
import { Option } from "commander";
import type {
  StreamResultsResponse,
  SubmitSnapshotResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  StreamResultsResponseSchema,
  SubmitSnapshotResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { usageError } from "./command.js";
import { reasonOf } from "./read-input.js";

export const jsonLinesOption = () => new Option("--json", "print one JSON object a line");

/** `{"accepted": …}` or `{"skipped": …}`. */
export function answerJsonLine(answer: SubmitSnapshotResponse): string {
  return `${toJsonString(SubmitSnapshotResponseSchema, answer)}\n`;
}

/** `{"outcome": …}`, `{"summary": …}` and so on, with the cursor if there is one. */
export function eventJsonLine(
  event: StreamResultsResponse["event"],
  cursor: StreamResultsResponse["cursor"] = "",
): string {
  const response = create(StreamResultsResponseSchema, { event, cursor });
  return `${toJsonString(StreamResultsResponseSchema, response)}\n`;
}

/**
 * The file of `--out`, written from the start. Opened before any work, so that a wrong name costs
 * none. Throws `CommandError` with exit code 2 when it cannot be opened.
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
