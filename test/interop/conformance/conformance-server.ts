/**
 * The server under test, as Connect's conformance runner starts it: reads from standard input what
 * to serve, writes to standard output where it serves, and ends at SIGTERM. Its one argument is the
 * file of the suite's descriptors.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { DescMessage } from "@bufbuild/protobuf";
import { create, createFileRegistry, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { z } from "zod";
import { addConformanceCalls } from "./conformance-service.js";
import { serveCalls } from "./served-calls.js";

/** A message is preceded by its length. */
const LENGTH_BYTES = 4;

const bytes = z.instanceof(Uint8Array);
/** `ServerCompatRequest`: what else it has is served always, or not offered. */
const compatRequest = z.object({
  useTls: z.boolean(),
  messageReceiveLimit: z.number(),
  serverCreds: z.object({ cert: bytes, key: bytes }).optional(),
});

const [, , descriptorsFile = ""] = process.argv;
const descriptors = fromBinary(FileDescriptorSetSchema, readFileSync(descriptorsFile));
const registry = createFileRegistry(descriptors);

function schemaOf(name: string): DescMessage {
  const schema = registry.getMessage(`connectrpc.conformance.v1.${name}`);
  if (schema === undefined) throw new Error(`${descriptorsFile} has no ${name}`);
  return schema;
}

/** The suite's certificate, as the files that the service takes. */
function writeCredentials(folder: string, { cert, key }: { cert: Uint8Array; key: Uint8Array }) {
  const settings = { tlsCertificate: join(folder, "cert.pem"), tlsKey: join(folder, "key.pem") };
  writeFileSync(settings.tlsCertificate, cert);
  writeFileSync(settings.tlsKey, key);
  return { ...settings, tlsClientCa: undefined };
}

const input = await buffer(process.stdin);
const message = fromBinary(schemaOf("ServerCompatRequest"), input.subarray(LENGTH_BYTES));
const { useTls, serverCreds, messageReceiveLimit } = compatRequest.parse(message);
if (useTls && serverCreds === undefined) throw new Error("TLS is asked for without a certificate");

const folder = mkdtempSync(join(tmpdir(), "lean-conformance-"));
const tls = serverCreds && writeCredentials(folder, serverCreds);
const server = await serveCalls({
  addCalls: (router) => addConformanceCalls(router, registry),
  registry,
  requestBytesMax: messageReceiveLimit,
  tls,
});
rmSync(folder, { recursive: true });

const [host = "", port = ""] = server.address.split(":");
const responseSchema = schemaOf("ServerCompatResponse");
const pemCert = serverCreds?.cert ?? new Uint8Array();
const response = create(responseSchema, { host, port: Number(port), pemCert });
const output = toBinary(responseSchema, response);
const length = Buffer.alloc(LENGTH_BYTES);
length.writeUInt32BE(output.length);
process.stdout.write(Buffer.concat([length, output]));

process.once("SIGTERM", () => void server.close().then(() => process.exit(0)));
