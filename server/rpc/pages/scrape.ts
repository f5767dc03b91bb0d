/**
 * The page /metrics: the registry's text in the format and encoding that the scraper accepts. All
 * requests of one turn of the event loop share one reading of the registry.
 */
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Registry } from "prom-client";
import type { HttpRequest } from "../../net/http-listener.js";

const gzipAsync = promisify(gzip);
const TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

export interface Scrape {
  body: Uint8Array;
  headers: Record<string, string>;
}

export class Scraper {
  /** The text while it is being read; undefined otherwise. */
  private reading: Promise<string> | undefined;

  constructor(private readonly registry: Registry) {}

  /** Never rejects: the registry has only our own metrics, and reading them does not fail. */
  async scrape({ accept, "accept-encoding": encodings }: HttpRequest["headers"]): Promise<Scrape> {
    const isOpenMetrics = accepts(accept, "application/openmetrics-text");
    const text = await this.read();
    const body = Buffer.from(isOpenMetrics ? openMetricsOf(text) : text);
    const headers = {
      "content-type": isOpenMetrics ? OPENMETRICS_TYPE : TEXT_TYPE,
      vary: "Accept, Accept-Encoding",
    };
    if (!accepts(encodings, "gzip")) return { body, headers };
    return { body: await gzipAsync(body), headers: { ...headers, "content-encoding": "gzip" } };
  }

  private read(): Promise<string> {
    return (this.reading ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      this.reading = undefined;
      return this.registry.metrics();
    }));
  }
}

/** Whether the header names the value, and not with `q=0`. No value of q is preferred to another. */
function accepts(header: string | string[] | undefined, value: string): boolean {
  const offers = String(header ?? "")
    .toLowerCase()
    .split(",");
  return offers.some((offer) => {
    const [name = "", ...parameters] = offer.split(";").map((part) => part.trim());
    return name === value && !parameters.some((each) => /^q=0(\.0*)?$/.test(each));
  });
}

/**
 * The same in OpenMetrics: a counter is declared without its `_total`, no line is empty, the end is
 * marked. prom-client's own form of it would rename the registry's metrics until the process ends.
 */
function openMetricsOf(text: string): string {
  const declared = text.replace(/^# (HELP|TYPE) (\S+)_total /gm, "# $1 $2 ");
  return `${declared.replace(/\n{2,}/g, "\n")}# EOF\n`;
}
