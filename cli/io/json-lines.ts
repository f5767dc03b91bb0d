/** What `--json` prints: one object a line, each a message of the proto, named by its only key. */
import { closeSync, openSync, writeSync } from "node:fs";
import { create, toJsonString } from "@bufbuild/protobuf";
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

/** `{"accepted": …}` or `{"skipped": …}`. */
export function answerJsonLine(answer: SubmitSnapshotResponse): string {
  return `${toJsonString(SubmitSnapshotResponseSchema, answer)}\n`;
}

/** `{"outcome": …}`, `{"summary": …}` and so on, with the cursor where there is one. */
export function eventJsonLine(
  event: StreamResultsResponse["event"],
  cursor: StreamResultsResponse["cursor"] = "",
): string {
  const response = create(StreamResultsResponseSchema, { event, cursor });
  return `${toJsonString(StreamResultsResponseSchema, response)}\n`;
}

/** A file of lines, made anew. Opened before any work is done, so that a wrong name costs none. */
export class LinesFile {
  readonly #descriptor: number;

  constructor(path: string) {
    try {
      this.#descriptor = openSync(path, "w");
    } catch (cause) {
      const where = `${path} (${reasonOf(cause)})`;
      throw usageError("cannot write the file", where, "name another with --out", cause);
    }
  }

  write(line: string): void {
    writeSync(this.#descriptor, line);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
