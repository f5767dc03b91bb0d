/**
 * What the tests of the service's contract share: a client over each protocol, and groups that the
 * fake prover can prove.
 */
import { createHash } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import type { Client, Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import {
  AggregatorService,
  AttestationDataSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type {
  Outcome,
  SubmitSnapshotResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature, startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { attestationDataRoot } from "../../../server/admission/attestation-data.js";
import { dataOf, keyTable, publicKey, snapshot } from "../vectors.js";
import type { GroupInit } from "../vectors.js";

export type AggregatorClient = Client<typeof AggregatorService>;

/** The service's URL, and for TLS the certificates that the client trusts and shows. */
interface Target {
  baseUrl: string;
  nodeOptions?: SecureContextOptions;
}
type Protocol = (target: Target) => Transport;
const connect = (more: { httpVersion: "1.1" | "2"; useBinaryFormat?: boolean }): Protocol => {
  return (target) => createConnectTransport({ ...target, ...more });
};
const protocols: Record<string, Protocol> = {
  gRPC: createGrpcTransport,
  "gRPC-Web, HTTP/1.1": (target) => createGrpcWebTransport({ ...target, httpVersion: "1.1" }),
  "Connect, HTTP/1.1": connect({ httpVersion: "1.1" }),
  "Connect, HTTP/2": connect({ httpVersion: "2" }),
  "Connect/JSON, HTTP/1.1": connect({ httpVersion: "1.1", useBinaryFormat: false }),
};

/** The names of all protocols that the service speaks, for `clientOver`. */
export const protocolNames = Object.keys(protocols);

/**
 * Makes a client that speaks the protocol `name`, one of `protocolNames`.
 * @param tls the certificates that a client over TLS trusts and shows; default: plain text
 */
export function clientOver(
  { addresses: [address] }: Pick<Service, "addresses">,
  name: string,
  tls?: SecureContextOptions,
): AggregatorClient {
  const protocol = protocols[name];
  if (protocol === undefined) throw new Error(`there is no protocol ${name}`);
  const target =
    tls === undefined
      ? { baseUrl: `http://${address}` }
      : { baseUrl: `https://${address}`, nodeOptions: tls };
  return createClient(AggregatorService, protocol(target));
}

/** A node for each test and protocol, since a node's second snapshot in flight would be skipped. */
export function nodeFor(protocol: string, test: string) {
  const digest = createHash("sha256").update(`${protocol}/${test}`).digest("hex").slice(0, 16);
  return { nodeId: `node-${digest}`, nodeEpoch: 1n };
}

/** Starts fake provers whose proofs end only while the gate is open. It is open at first. */
export class Gate {
  private isOpen = true;
  private readonly waiting: (() => void)[] = [];

  readonly startProver = () =>
    startFakeProver({
      proveMs: () => 1,
      sleep: () =>
        this.isOpen
          ? Promise.resolve()
          : new Promise<void>((resolve) => void this.waiting.push(resolve)),
    });

  shut(): void {
    this.isOpen = false;
  }

  open(): void {
    this.isOpen = true;
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}

/** Attestation data number `n` of slot 100, each with another head. */
export function inventedData(n: number) {
  const data = dataOf(0);
  const root = new Uint8Array(32);
  new DataView(root.buffer).setUint32(0, n + 1);
  return { ...data, head: { root, slot: data.slot } };
}

const rootOf = (n: number) =>
  attestationDataRoot(create(AttestationDataSchema, inventedData(n)), "data");

/** A validator's signature of `inventedData(n)` that the fake prover accepts. */
export function inventedRaw(n: number, validator: number, slot = 100) {
  const signature = fakeSignature(publicKey(validator), rootOf(n), slot);
  return { validatorIndex: validator, signature };
}

/** A group of `inventedData(n)` with raw signatures of these validators. */
export function inventedGroup(n: number, validators: number[] = [0, 1]): GroupInit {
  return { data: inventedData(n), rawSignatures: validators.map((v) => inventedRaw(n, v)) };
}

/** The request's id. Throws when the snapshot was skipped. */
export function requestIdOf({ result }: SubmitSnapshotResponse): string {
  if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
  return result.value.requestId;
}

/** The request for a stream of one request's events, which ends with its summary. */
export function streamOf(node: { nodeId: string }, requestId: string) {
  return { node, awaited: [{ requestId }], awaitedOnly: true };
}

/** Submits groups of slot 100, waits up to 5 s until all have ended, and returns their outcomes. */
export async function outcomesOf(
  client: AggregatorClient,
  node: { nodeId: string },
  groups: GroupInit[],
  keys = keyTable(),
): Promise<Outcome[]> {
  const request = { node, snapshot: snapshot(100, groups, keys), deadlineMs: 5000 };
  const requestId = requestIdOf(await client.submitSnapshot(request));
  const { session } = await client.getSession({ node, requestId, waitMs: 5000 });
  return session?.outcomes ?? [];
}
