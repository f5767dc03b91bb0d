/**
 * Sends malformed snapshots over sockets, many at once, and takes note of how each was answered:
 * refused with a typed status, skipped with a reason, or accepted, and then how its groups ended.
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  GetSessionRequestSchema,
  GetSessionResponseSchema,
  OutcomeStatus,
  SessionState,
  SkipReason,
  SubmitSnapshotRequestSchema,
  SubmitSnapshotResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { frame, RawClient } from "../harness/wire/raw-grpc.js";
import { Random } from "../sim/random.js";
import { mutateBytes } from "./engine/mutate-bytes.js";
import { protobufMutator } from "./engine/mutate-protobuf.js";
import { encoded } from "./seeds.js";

/** Invalid argument, resource exhausted, a lower epoch, unimplemented: what a caller may get. */
const REFUSALS = [3, 8, 9, 12];
/** What gRPC asks for where a message is compressed and no encoding was named. */
const INTERNAL = 13;
const NOT_FOUND = 5;
const COMPRESSED = 1;
const WAIT_MS = 30_000;

export type Tally = Record<string, number>;

/** A whole request: framed, or framed wrongly. */
interface Malformed {
  body: Uint8Array;
  message: Uint8Array;
  allowed: readonly number[];
}

const mutate = protobufMutator(SubmitSnapshotRequestSchema);

export class Flood {
  readonly tally: Tally = {};
  private readonly random: Random;

  constructor(
    private readonly seeds: readonly Uint8Array[],
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  /** Resolves when every one of so many was answered, and the connections are closed. */
  async send(address: string, count: number, connections: number): Promise<void> {
    let left = count;
    const one = async () => {
      const client = new RawClient(address);
      while (left-- > 0) await this.submit(client, this.next());
      await closed(client);
    };
    await Promise.all(Array.from({ length: connections }, one));
  }

  private next(): Malformed {
    const { random } = this;
    const seed = random.pick(this.seeds);
    const message = random.chance(0.8) ? mutate(seed, random) : mutateBytes(seed, random);
    const body = frame(message);
    if (random.chance(0.95)) return { body, message, allowed: REFUSALS };
    if (random.chance(0.3)) body[0] = COMPRESSED;
    else if (random.chance(0.5)) body.writeUInt32BE(message.length + random.whole(1, 99), 1);
    else return { body: body.subarray(0, random.whole(0, 4)), message, allowed: REFUSALS };
    return { body, message, allowed: [...REFUSALS, INTERNAL] };
  }

  private async submit(client: RawClient, { body, message, allowed }: Malformed): Promise<void> {
    const { code, answer, text } = await call(client, "SubmitSnapshot", body);
    if (code !== 0) {
      if (!allowed.includes(code)) throw new Error(`status ${String(code)}: ${text}`);
      return this.count(`refused ${String(code)}`);
    }
    const { result } = fromBinary(SubmitSnapshotResponseSchema, answer);
    if (result.case === "skipped") return this.count(`skipped ${SkipReason[result.value.reason]}`);
    if (result.case !== "accepted") throw new Error("neither accepted nor skipped");
    this.count("accepted");
    await this.checkSession(client, message, result.value.requestId);
  }

  /** Every group has ended, once. */
  private async checkSession(client: RawClient, message: Uint8Array, acceptedId: string) {
    const { node, snapshot, requestId } = fromBinary(SubmitSnapshotRequestSchema, message);
    const request = { node: node ?? {}, requestId: acceptedId, waitMs: WAIT_MS };
    const body = frame(encoded(GetSessionRequestSchema, request));
    const { code, answer, text } = await call(client, "GetSession", body);
    // The answer to an earlier request of that id, whose results are retained no more.
    if (code === NOT_FOUND && requestId !== "") return this.count("group forgotten");
    if (code !== 0) throw new Error(`accepted, and then status ${String(code)}: ${text}`);
    const { session } = fromBinary(GetSessionResponseSchema, answer);
    const ended = session?.outcomes.map(({ groupIndex }) => groupIndex) ?? [];
    const groups = [...(snapshot?.groups.keys() ?? [])];
    if (session?.state !== SessionState.ENDED || String(ended) !== String(groups)) {
      throw new Error(`of groups ${String(groups)} these have ended: ${String(ended)}`);
    }
    for (const { status } of session.outcomes) this.count(`group ${OutcomeStatus[status]}`);
  }

  private count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }
}

async function call(client: RawClient, method: string, body: Uint8Array) {
  const call = client.call(method);
  const chunks: Buffer[] = [];
  call.stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const ended = new Promise((resolve) => call.stream.once("close", resolve));
  const { code, message: text } = await call.end(body);
  if (code === 0) await ended;
  return { code, text, answer: Buffer.concat(chunks).subarray(frame(new Uint8Array()).length) };
}

function closed(client: RawClient): Promise<void> {
  return new Promise((resolve) => {
    client.session.once("close", () => resolve());
    client.close();
  });
}
