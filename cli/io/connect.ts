/** Makes a command's client from the flags for the service's address, TLS and token. */
import { statSync } from "node:fs";
import type { Client } from "@grpc/grpc-js";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { openChannel } from "../../client/rpc/channel.js";
import type { ChannelOptions } from "../../client/rpc/channel.js";
import { AddressError, parseServerAddress } from "../../client/rpc/server-address.js";
import { TlsFileError } from "../../client/rpc/tls-credentials.js";
import { isToken } from "../../client/rpc/token.js";
import { readFileWithin } from "../../server/files/read-file.js";
import { usageError } from "./command.js";
import { fileReason } from "../../server/files/file-reason.js";

const TOKEN_FILE = { bytesMax: 64 * 1024, mustBeFile: false };

export interface ConnectOptions {
  /** Address of the service. */
  server: string;
  /** Paths of PEM files, and a name, as in `TlsOptions`. Any of these four turns TLS on. */
  tlsCa?: string;
  tlsCertificate?: string;
  tlsKey?: string;
  tlsServerName?: string;
  /** File with the token. The token itself is no argument, as `ps` shows arguments to all users. */
  tokenFile?: string;
  /** For options that come from the environment: the names of their variables. */
  variables?: Readonly<Record<string, string>>;
}

const FLAGS = {
  ca: ["tlsCa", "--tls-ca"],
  certificate: ["tlsCertificate", "--tls-certificate"],
  key: ["tlsKey", "--tls-key"],
  serverName: ["tlsServerName", "--tls-server-name"],
} as const;

/** Adds the flags of `ConnectOptions`, with other environment variables than those of `serve`. */
export function addConnectOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--server <address>", "the service: host:port, https://host:port or unix:/path")
        .env("LEAN_AGGREGATOR_SERVER")
        .default("127.0.0.1:9190")
        .argParser(serverAddress),
    )
    .addOption(
      new Option(
        "--tls-ca <file>",
        "PEM file of the certificate authority to trust; turns TLS on",
      ).env("LEAN_AGGREGATOR_CLIENT_TLS_CA"),
    )
    .addOption(
      new Option(
        "--tls-certificate <file>",
        "PEM file of this client's certificate, if the service asks for one",
      ).env("LEAN_AGGREGATOR_CLIENT_TLS_CERTIFICATE"),
    )
    .addOption(
      new Option("--tls-key <file>", "PEM file of the private key of that certificate").env(
        "LEAN_AGGREGATOR_CLIENT_TLS_KEY",
      ),
    )
    .addOption(
      new Option(
        "--tls-server-name <name>",
        "name expected in the service's certificate, if not the host of --server",
      ).env("LEAN_AGGREGATOR_CLIENT_TLS_SERVER_NAME"),
    )
    .addOption(tokenOption())
    .hook("preAction", (_, called) => {
      const given = called.options.flatMap((option): [string, string][] => {
        const key = option.attributeName();
        const isVariable = called.getOptionValueSource(key) === "env";
        return isVariable && option.envVar !== undefined ? [[key, option.envVar]] : [];
      });
      called.setOptionValue("variables", Object.fromEntries(given));
    });
}

/** Checks the address of a service, for commander, which names the flag or the variable. */
export function serverAddress(text: string): string {
  try {
    parseServerAddress(text);
    return text;
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    throw new InvalidArgumentError(
      `${error.expected.replace(/^./, (first) => first.toUpperCase())}.`,
    );
  }
}

export const tokenOption = () =>
  new Option("--token-file <file>", "file with the token that identifies the caller").env(
    "LEAN_AGGREGATOR_TOKEN_FILE",
  );

/** Makes a client. Throws `CommandError` with exit code 2 when a flag cannot be used. */
export function connect(options: ConnectOptions): AggregatorClient {
  const token = tokenOf(options.tokenFile);
  return withUsableFlags(
    options,
    () => new AggregatorClient({ ...channelOptions(options), ...(token && { token }) }),
  );
}

/** Makes a bare grpc-js channel, which sends no token. Throws as `connect` does. */
export function connectChannel(options: ConnectOptions): Client {
  return withUsableFlags(options, () => openChannel(channelOptions(options)));
}

function channelOptions(options: ConnectOptions): ChannelOptions {
  const { server, tlsCa: ca, tlsCertificate: certificate, tlsKey: key } = options;
  const given = { ca, certificate, key, serverName: options.tlsServerName };
  const isTls = Object.values(given).some((value) => value !== undefined);
  return { address: server, ...(isTls && { tls: given }) };
}

function withUsableFlags<T>({ variables = {} }: ConnectOptions, open: () => T): T {
  const nameOf = (option: keyof typeof FLAGS) => {
    const [key, flag] = FLAGS[option];
    return variables[key] ?? flag;
  };
  try {
    return open();
  } catch (cause) {
    if (cause instanceof TlsFileError) {
      const why = cause.why.replace(/\btls\.(ca|certificate|key)\b/, (_, option: "ca") =>
        nameOf(option),
      );
      throw usageError(`${nameOf(cause.option)} ${why}`, "name the right file", cause);
    }
    if (!(cause instanceof TypeError)) throw cause;
    throw usageError(cause.message, "fix --server, --token-file or the --tls flags", cause);
  }
}

/**
 * Returns a function that gives the token in the file; undefined without a file. Reads the file
 * now, to fail early, and again for each call, as the token may be replaced. Throws `CommandError`
 * with exit code 2 when the file cannot be read now or is empty.
 */
export function tokenOf(file: string | undefined): (() => string) | undefined {
  if (file === undefined) return undefined;
  const read = () => readFileWithin(file, TOKEN_FILE).toString().trim();
  const wrong = (why: string, cause?: unknown) =>
    usageError(
      `cannot read the token from --token-file ${file}: ${why}`,
      "name a file that holds one token",
      cause,
    );
  let first: string;
  try {
    first = read();
  } catch (cause) {
    throw wrong(fileReason(cause, file), cause);
  }
  if (first === "") throw wrong("the file is empty");
  if (!isToken(first)) throw wrong("it has spaces, or characters other than printable ASCII");
  // A pipe can be read only once: then the first token stays in use.
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  return () => (isFile ? readAgain(read) || first : first);
}

function readAgain(read: () => string): string {
  try {
    return read();
  } catch {
    return ""; // the file is being replaced; the service decides whether the old token is valid
  }
}
