/** `lean-aggregator watch`: a node's results as they come, until interrupted. */
import { AggregatorClient } from "../aggregator-client.js";
import { outcomeLine } from "./outcome-line.js";

export async function watchCommand(options: { server: string; node: string }): Promise<number> {
  const client = new AggregatorClient({ address: options.server });
  const abort = new AbortController();
  process.once("SIGINT", () => abort.abort());
  try {
    const request = { node: { nodeId: options.node } };
    for await (const { event } of client.streamResults(request, abort.signal)) {
      if (event.case === "outcome") process.stdout.write(`${outcomeLine(event.value)}\n`);
      else if (event.case === "gap")
        process.stdout.write(`gap: ${event.value.events} events are gone\n`);
      else if (event.case === "summary") {
        const { slot, proved, provedLate, groups } = event.value;
        process.stdout.write(
          `slot ${slot} ended: ${proved + provedLate} of ${groups} groups proved\n`,
        );
      }
    }
    return 0;
  } finally {
    client.close();
  }
}
