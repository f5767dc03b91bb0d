/** A lane host of the simulated fleet in one of its runs: the real one, in one simulated process. */
import type { Engine } from "../../../server/engine/engine.js";
import { createHostMetrics } from "../../../server/fleet/host/host-metrics.js";
import { LaneHost } from "../../../server/fleet/host/lane-host.js";
import type { Device } from "../../../server/lane/device.js";
import type { LaneOptions } from "../../../server/lane/lane-events.js";
import { LocalLanes } from "../../../server/lane/local-lanes.js";
import type { Logger } from "../../../server/log/log.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import type { SimProcess } from "./sim-process.js";

export interface SimHostOptions {
  /** Names the host over all its runs. */
  id: string;
  /** Names this run: 16 hexadecimal digits. */
  run: string;
  cell: string;
  devices: readonly Device[];
  lanes: LaneOptions;
}

export interface SimHostModules {
  process: SimProcess;
  log: Logger;
  engine: Engine;
}

export class SimHost {
  readonly process: SimProcess;
  readonly run: string;
  private readonly engine: Engine;
  private readonly lanes: LocalLanes;
  private readonly host: LaneHost;

  constructor({ id, run, cell, devices, lanes: options }: SimHostOptions, modules: SimHostModules) {
    const { process, log, engine } = modules;
    const { clock } = process;
    this.process = process;
    this.run = run;
    this.engine = engine;
    const post = <Message>(message: Message, receive: (message: Message) => void) =>
      process.post(() => receive(message));
    const metrics = createMetrics();
    this.lanes = new LocalLanes(devices, options, { clock, log, metrics, post });
    const { lanes } = this;
    const own = { clock, log, engine, lanes, metrics: createHostMetrics(metrics.registry) };
    this.host = new LaneHost({ cell, host: { id, run } }, own);
  }

  open(): void {
    this.host.open();
  }

  /** As on SIGTERM: what runs has until its fence, at most `drainMs`. */
  async close(drainMs: number): Promise<void> {
    await this.host.drain(drainMs);
    this.host.close();
    await this.lanes.close();
    await this.engine.close();
  }
}
