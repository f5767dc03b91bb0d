/** The flags that several commands share, and how their values are read. */
import { InvalidArgumentError, Option } from "commander";
import { parseConfig, variableOf } from "../server/config.js";

/** One for each setting of `serve` that has a flag, and where the file of the others is. */
export function settingsOptions(): Option[] {
  const config = parseConfig();
  const defaults: Record<string, unknown> = {
    ...config,
    devices: config.devices.map(({ id }) => id),
    socketMode: `0${config.socketMode.toString(8)}`,
  };
  const setting = (flags: string, description: string) => {
    const option = new Option(flags);
    const key = option.attributeName();
    const from = `(default: ${String(defaults[key] ?? "none")}, env: ${variableOf(key)})`;
    option.description = `${description} ${from}`;
    return option;
  };
  return [
    new Option("--config <file>", "settings as JSON; flags and variables win over it"),
    setting("--listen <addresses>", "gRPC: host:port or unix:/path, comma separated"),
    setting("--http <address>", "Connect/JSON, gRPC-Web, /metrics, /livez, /readyz"),
    setting("--admin <address>", 'for the operator: admin commands, or "off"'),
    setting(
      "--probes <address>",
      '/livez and /readyz alone, in plain HTTP on any address, or "off"',
    ),
    setting("--tls-certificate <file>", "PEM; TLS 1.3 on every TCP address of --listen and --http"),
    setting("--tls-key <file>", "PEM, the certificate's key"),
    setting("--tls-client-ca <file>", "PEM; clients must show a certificate of this authority"),
    setting(
      "--insecure-plaintext-on-network",
      "serve other machines without TLS: whoever is on the way reads and changes what is sent",
    ),
    setting("--socket-mode <octal>", "permissions of Unix sockets: who may write may call"),
    setting("--socket-group <group>", "name or number of the group of Unix sockets"),
    setting("--policy <file>", "who may do what, see below"),
    setting("--prover <name>", "fake simulates").choices(["lean_pq", "fake"]),
    setting("--devices <devices>", "what proves: names, or a JSON list, see below"),
    setting("--standby <count>", "set-up provers that wait, a device").choices(["auto", "0", "1"]),
    setting("--prover-memory-mb <mb>", "a prover that holds more is replaced between proofs"),
    setting("--lock-dir <folder>", "device locks, the same for every service of this host"),
    setting("--deadline-ms <ms>", "start no proof later, where a request says nothing"),
    setting("--fence-ms <ms>", "a proof is worthless later, where a request says nothing"),
    setting("--drain-ms <ms>", "what a running proof gets at shutdown"),
    setting("--log-level <level>", "log nothing below").choices([
      ...["debug", "info", "warn", "error", "silent"],
    ]),
  ];
}

/** Where the service is, and how it is talked to; the variables differ from those of `serve`. */
export const connectOptions = () => [
  new Option("--server <address>", "host:port, https://host:port or unix:/path")
    .env("LEAN_AGGREGATOR_SERVER")
    .default("127.0.0.1:9190"),
  new Option(
    "--tls-ca <file>",
    "PEM; TLS, with a server whose certificate this authority signed",
  ).env("LEAN_AGGREGATOR_CLIENT_TLS_CA"),
  new Option("--tls-certificate <file>", "PEM; your own, where the server asks for one").env(
    "LEAN_AGGREGATOR_CLIENT_TLS_CERTIFICATE",
  ),
  new Option("--tls-key <file>", "PEM, the key of your certificate").env(
    "LEAN_AGGREGATOR_CLIENT_TLS_KEY",
  ),
  new Option("--tls-server-name <name>", "expect it in the server's certificate").env(
    "LEAN_AGGREGATOR_CLIENT_TLS_SERVER_NAME",
  ),
  tokenOption(),
];

export const tokenOption = () =>
  new Option("--token-file <file>", "holds the token that says who calls").env(
    "LEAN_AGGREGATOR_TOKEN_FILE",
  );

export const jsonOption = () => new Option("--json", "one JSON object a line, for machines");

export const msOption = (flags: string, description: string) =>
  new Option(flags, description).argParser((text: string) => {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw new InvalidArgumentError("expected a number of milliseconds, 1 or more");
  });
