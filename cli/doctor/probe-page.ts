/** Reads a page of the listener for probes, such as /readyz. */
import { once } from "node:events";
import { Agent, get } from "node:http";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { bindAddressOf } from "../../server/net/address.js";

const ANSWER_MS_MAX = 1000;

/**
 * The answer's status and text. Rejects when none comes within a second, or `signal` aborts. Not by
 * `fetch`, which goes through a proxy where NODE_USE_ENV_PROXY asks it to.
 */
export async function probePage(
  address: string,
  path: string,
  signal?: AbortSignal,
): Promise<{ status: number; text: string }> {
  const at = bindAddressOf(address);
  const timeout = AbortSignal.timeout(ANSWER_MS_MAX);
  const request = get({
    ...("path" in at ? { socketPath: at.path } : at),
    path,
    agent: new Agent(),
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
  });
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, text: await text(answer) };
}
