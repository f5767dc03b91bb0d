/** `lean-aggregator submit FILE`: one snapshot from a file, its outcomes to the terminal. */
import { readFileSync } from "node:fs";
import { fromBinary, fromJsonString } from "@bufbuild/protobuf";
import {
  SkipReason,
  SubmitSnapshotRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorClient } from "../aggregator-client.js";
import { isProved, outcomeLine } from "./outcome-line.js";

const SOME_NOT_PROVED = 3;
const SKIPPED = 4;

export async function submitCommand(file: string, { server }: { server: string }): Promise<number> {
  const bytes = readFileSync(file);
  const request = file.endsWith(".bin")
    ? fromBinary(SubmitSnapshotRequestSchema, bytes)
    : fromJsonString(SubmitSnapshotRequestSchema, bytes.toString());
  const client = new AggregatorClient({ address: server });
  const abort = new AbortController();
  try {
    const { result } = await client.submitSnapshot(request, { timeoutMs: 5000 });
    if (result.case !== "accepted") {
      const reason =
        result.value === undefined ? "no answer" : SkipReason[result.value.reason].toLowerCase();
      process.stdout.write(`skipped: ${reason}: ${result.value?.detail ?? ""}\n`);
      return SKIPPED;
    }
    const { sessionId, deadlineMs, fenceMs, predictedFinishMs } = result.value;
    process.stdout.write(
      `accepted: session ${sessionId}, starts until ${deadlineMs} ms, worthless after ${fenceMs} ms, ` +
        `all done in about ${predictedFinishMs} ms\n`,
    );
    return await follow(
      client,
      { ...(request.node === undefined ? {} : { node: request.node }), sessionId },
      abort.signal,
    );
  } finally {
    abort.abort();
    client.close();
  }
}

async function follow(
  client: AggregatorClient,
  request: Parameters<AggregatorClient["streamResults"]>[0],
  signal: AbortSignal,
): Promise<number> {
  let areAllProved = true;
  const startedMs = performance.now();
  const progress = setInterval(() => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    if (process.stderr.isTTY) process.stderr.write(`\rproving, ${seconds} s `);
  }, 500);
  try {
    for await (const { event } of client.streamResults(request, signal)) {
      if (event.case === "outcome") {
        areAllProved &&= isProved(event.value);
        process.stdout.write(`${process.stderr.isTTY ? "\r" : ""}${outcomeLine(event.value)}\n`);
      } else if (event.case === "summary") {
        const { proved, provedLate, groups, durationMs } = event.value;
        process.stdout.write(
          `${proved + provedLate} of ${groups} groups proved in ${durationMs} ms\n`,
        );
        break;
      }
    }
  } finally {
    clearInterval(progress);
  }
  return areAllProved ? 0 : SOME_NOT_PROVED;
}
