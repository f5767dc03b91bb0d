/** The setting `otlp`: where the traces go; and what else is for a collector. */
import { z } from "zod";
import { isLocalAddress, readAddress } from "../../proto/address.js";

const expected = "expected a URL that begins with http:// or https://";
const TRACES_PATH = "/v1/traces";
export const DEFAULT_RATIO = 1;

/** The whole URL, to which requests are posted. */
export const collectorUrl = z.string(expected).transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const problem = (message: string) => {
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  };
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) return problem(expected);
  if (url.username !== "" || url.password !== "") {
    return problem("has a user or password: put them into the file of {otlpHeaders}");
  }
  if (url.hash !== "") return problem("has a fragment, which no server gets");
  if (url.pathname === "/") url.pathname = TRACES_PATH;
  return url.href;
});

interface CollectorSettings {
  otlp?: string | undefined;
  otlpHeaders?: string | undefined;
  otlpRatio: number;
  insecurePlaintextOnNetwork: boolean;
}

export function checkCollector(
  { otlp, otlpHeaders, otlpRatio, insecurePlaintextOnNetwork }: CollectorSettings,
  problem: (key: "otlp" | "otlpHeaders" | "otlpRatio", message: string) => void,
): void {
  if (otlp === undefined) {
    if (otlpHeaders !== undefined) problem("otlpHeaders", "is for a collector: name {otlp}");
    if (otlpRatio !== DEFAULT_RATIO) problem("otlpRatio", "is for a collector: name {otlp}");
    return;
  }
  const { protocol, host, hostname } = new URL(otlp);
  if (protocol === "https:" || insecurePlaintextOnNetwork) return;
  const address = readAddress(host === hostname ? `${host}:80` : host);
  if (address.kind === "problem" || !isLocalAddress(address)) {
    problem("otlp", "goes to another machine in plain text: use https:// or a loopback address");
  }
}
