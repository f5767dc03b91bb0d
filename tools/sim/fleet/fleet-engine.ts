/**
 * The engine of the simulated fleet: the engine in memory, whose messages take their time, and get
 * lost, doubled, delayed and overtaken as the weather says. Any process can be cut off from it.
 */
import type { Engine } from "../../../server/engine/engine.js";
import type { MemoryEngine, Passage } from "../../../server/engine/memory-engine.js";
import { MemoryBroker } from "../../../server/engine/memory-engine.js";
import type { Random } from "../random.js";
import type { VirtualClock } from "../virtual-clock.js";
import type { FleetWeather } from "./plans/fleet-plan.js";
import type { SimProcess } from "./sim-process.js";

/** The way of a message that nothing delays, in milliseconds. */
const WAY_MS_MIN = 0.2;
const WAY_MS_MAX = 1;

interface Connected {
  process: SimProcess;
  engine: MemoryEngine;
}

export interface FleetEngineModules {
  time: VirtualClock;
  random: Random;
  weather: FleetWeather;
  /** Sees every message at once when it is sent, and may change its bytes. */
  onMessage: (passage: Passage) => void;
}

export class FleetEngine {
  private readonly broker: MemoryBroker;
  private readonly connected = new Set<Connected>();
  /** Names of the processes of which nothing comes, or to which nothing gets. */
  private readonly muted = new Set<string>();
  private readonly deafened = new Set<string>();
  /** When the last message between two processes arrives, of those that nothing delays. */
  private readonly lastAtMs = new Map<string, number>();
  private outages = 0;

  constructor(private readonly modules: FleetEngineModules) {
    this.broker = new MemoryBroker({
      clock: modules.time,
      weather: (passage) => this.delaysOf(passage),
    });
  }

  /** The connection of a new process, which ends with it. */
  connect(process: SimProcess): Engine {
    const { clock } = process;
    const post = (deliver: () => void) => process.turn(deliver);
    const engine = this.broker.connect(process.name, { clock, post });
    const own = { process, engine };
    this.connected.add(own);
    process.onDeath(() => {
      this.connected.delete(own);
      void engine.close(); // it never rejects
    });
    if (this.outages > 0) engine.cut("no server is up");
    return engine;
  }

  /** Connections that are not closed. */
  get connections(): number {
    return [...this.connected].filter(({ engine }) => engine.status.detail !== "closed").length;
  }

  /** Breaks the connection of the process, as both sides notice. */
  cut(process: SimProcess, detail: string): void {
    for (const each of this.of(process)) each.process.post(() => each.engine.cut(detail));
  }

  restore(process: SimProcess): void {
    if (this.outages > 0) return;
    for (const each of this.of(process)) each.process.post(() => each.engine.restore());
  }

  mute(name: string, isMuted: boolean): void {
    if (isMuted) this.muted.add(name);
    else this.muted.delete(name);
  }

  deafen(name: string, isDeaf: boolean): void {
    if (isDeaf) this.deafened.add(name);
    else this.deafened.delete(name);
  }

  /** All servers are down until the returned function is called. */
  outage(): () => void {
    this.outages++;
    for (const { process } of this.connected) this.cut(process, "no server is up");
    return () => {
      this.outages--;
      for (const { process } of this.connected) this.restore(process);
    };
  }

  private of(process: SimProcess): Connected[] {
    return [...this.connected].filter((each) => each.process === process);
  }

  /** The way of a message that nothing delays: none overtakes another between the same two. */
  private inOrder({ from, to }: Passage): number {
    const { random, time } = this.modules;
    const nowMs = time.nowMs();
    const earliestMs = nowMs + random.between(WAY_MS_MIN, WAY_MS_MAX);
    const atMs = Math.max(earliestMs, this.lastAtMs.get(`${from} ${to}`) ?? 0);
    this.lastAtMs.set(`${from} ${to}`, atMs);
    return atMs - nowMs;
  }

  /** The delays of the copies of a message that arrive. */
  private delaysOf(passage: Passage): number[] {
    const { random, weather } = this.modules;
    this.modules.onMessage(passage);
    if (this.muted.has(passage.from) || this.deafened.has(passage.to)) return [];
    const way = () => {
      const isDelayed = weather.delayed > 0 && random.chance(weather.delayed);
      return isDelayed ? random.between(WAY_MS_MIN, weather.delayMs) : this.inOrder(passage);
    };
    const delays = random.chance(weather.loss) ? [] : [way()];
    return weather.doubling > 0 && random.chance(weather.doubling) ? [...delays, way()] : delays;
  }
}
