/** One node's process. The orchestrator forks it, sends its settings, and gets its records. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Registry } from "prom-client";
import type { SkippedSession } from "./aggregators/service-aggregator.js";
import { CryptoClient } from "../crypto/crypto-client.js";
import { startAggregation, startOwnProver } from "./aggregation.js";
import { endWithParent } from "./end-with-parent.js";
import { Gossip } from "./gossip.js";
import type { FromNode, NodeSettings, ToNode } from "./messages.js";
import { DevnetNode } from "./node.js";
import type { NodeRecord } from "./records.js";
import { slotOf, tickAt, type SlotTime } from "./slot-time.js";
import { SlotReport } from "./slot-report.js";
import { TickLoop } from "./tick-loop.js";

/** What is left to tell while the process ends goes nowhere. */
function tell(message: FromNode): void {
  if (process.connected) process.send?.(message);
}

function next<T extends ToNode["type"]>(type: T): Promise<Extract<ToNode, { type: T }>> {
  return new Promise((resolve) => {
    const listen = (message: ToNode) => {
      if (message.type !== type) return;
      process.off("message", listen);
      resolve(message as Extract<ToNode, { type: T }>);
    };
    process.on("message", listen);
  });
}

async function startMetricsServer(registry: Registry): Promise<Server> {
  const server = createServer((_, response) => {
    void registry.metrics().then((text) => response.end(text));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

interface TickLoopModules {
  settings: NodeSettings;
  time: SlotTime;
  node: DevnetNode;
  report: SlotReport;
}

function startTickLoop({ settings, time, node, report }: TickLoopModules): TickLoop {
  const lastTick = (settings.lastSlot + 1) * time.intervals - 1;
  return new TickLoop(
    { ...time, lastTick },
    {
      onTick: (tick) => node.onTick(tick),
      onTimed: (timed) => report.onTick(timed, node.store),
      takeResults: () => node.applyResults() > 0,
      onTaken: (durationMs) => report.onTaken(durationMs),
      onEnd: () => report.end(node.store),
    },
  );
}

async function main(): Promise<void> {
  const leaveParent = endWithParent(process);
  const { settings } = await next("settings");
  const registry = new Registry();
  const { intervals } = settings;
  const report = new SlotReport(registry, intervals, (record) => tell({ type: "record", record }));
  const record = (entry: NodeRecord) => report.add(entry);
  const crypto = new CryptoClient(settings.sockets);
  const ownProver = await startOwnProver(settings, registry, record);
  const metricsServer = await startMetricsServer(registry);
  const stopping = next("stop");
  const starting = next("genesis");
  tell({ type: "ready", metricsPort: (metricsServer.address() as AddressInfo).port });

  const { genesisUnixMs } = await starting;
  const time = { genesisUnixMs, slotMs: settings.slotMs, intervals };
  const currentSlot = () => Math.max(0, slotOf(tickAt(time, Date.now()), intervals));
  const modules = {
    registry,
    crypto,
    node: (): DevnetNode => node,
    onNews: (text: string) => record({ kind: "news", slot: currentSlot(), text }),
    onSkipped: (session: SkippedSession) => record({ kind: "skipped", ...session }),
  };
  const aggregation = startAggregation(settings, time, ownProver, modules);
  const gossip: Gossip = await Gossip.start(
    { node: settings.node, ports: settings.ports },
    {
      onPeer: (peer) => node.onPeer(peer),
      onFrame: (peer, kind, bytes) => void node.onFrame(peer, kind, bytes), // never rejects
    },
  );
  const node = new DevnetNode(settings, {
    gossip,
    crypto,
    aggregator: aggregation.aggregator,
    merger: aggregation.merger,
    currentSlot,
    sinceGenesisMs: () => Date.now() - genesisUnixMs,
    record,
    timedAsAggregation: (run) => report.timeEarly(currentSlot(), run),
  });
  process.on("message", (message: ToNode) => {
    if (message.type === "drop") gossip.setDropped(message.peers);
  });
  node.prepareFirstVotes(currentSlot() + 1);
  const loop = startTickLoop({ settings, time, node, report });

  await stopping;
  loop.stop();
  node.close();
  await aggregation.close();
  gossip.close();
  metricsServer.close();
  crypto.close();
  leaveParent();
}

main().catch((error: unknown) => {
  process.stderr.write(`node ended: ${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
