/**
 * A network on virtual time whose aggregators and proposers share provers: in each slot votes are
 * aggregated, and the next proposer's body grows by the adapters' own machine.
 */
import { fenceAtMs, intervalAtMs, stepsOf } from "../../../client/adapter/slot-times.js";
import { Random } from "../../sim/random.js";
import { VirtualClock } from "../../sim/virtual-clock.js";
import { hash } from "../scenario/truth.js";
import { BodyOfBlock } from "./body-of-block.js";
import type { BlockScenario, SlotResult } from "./block-scenario.js";
import type { BlockProvers } from "./block-provers.js";
import { BlockService } from "./block-service.js";
import { FirstCome } from "./first-come.js";
import type { Message } from "./block-work.js";
import { mergeGroup, voteGroup } from "./block-work.js";

const INTERVALS = 5;
const AGGREGATE = 2;
/** Slots that do not count, in which the service learns what votes and merges cost. */
const LEARNING_SLOTS = 40;
const FIRST_SLOT = 3;
/** Aggregators submit within so long. */
const BURST_MS = 200;
/** From a proof or a block to where it is wanted. */
const GOSSIP_MS = 100;
const VOTES_DEADLINE_MS = 750;
/** Of the one-time key. */
const SIGN_MS = 20;

export class BlockRun {
  private readonly clock = new VirtualClock();
  private readonly random: Random;
  private readonly provers: BlockProvers;
  private readonly slots = new Map<number, SlotResult>();
  /** Of the block of the next slot. */
  private body: BodyOfBlock | undefined;

  constructor(private readonly scenario: BlockScenario) {
    this.random = new Random(hash(`blocks/${scenario.seed}`));
    const { by } = scenario;
    this.provers =
      by === "worker"
        ? new FirstCome(scenario, this.clock)
        : new BlockService(scenario, this.clock, by === "service");
  }

  /** The slots that count. */
  async result(): Promise<SlotResult[]> {
    const { slotMs, slots } = this.scenario;
    const first = FIRST_SLOT + LEARNING_SLOTS;
    const last = first + slots;
    this.provers.open();
    for (let slot = FIRST_SLOT; slot <= last; slot++) this.plan(slot);
    await this.clock.runUntil((last + 3) * slotMs, () => this.provers.readResults());
    return [...this.slots].flatMap(([slot, result]) =>
      slot >= first && slot < last ? [result] : [],
    );
  }

  private get times() {
    return { slotMs: this.scenario.slotMs, intervals: INTERVALS, phaseMs: 0 };
  }

  private plan(slot: number): void {
    const { clock, random, scenario, times } = this;
    const at = (interval: number) => intervalAtMs(times, slot, interval);
    const { known } = scenario;
    clock.at(at(0), () => {
      const record = { votesMs: [], made: 0, blockProofMs: undefined };
      this.slots.set(slot, record);
      this.propose(slot, record);
    });
    for (let lane = 0; lane < scenario.lanes; lane++) {
      if (!random.chance(scenario.kills)) continue;
      clock.at(at(0) + random.between(0, scenario.slotMs), () => this.provers.killProver(lane));
    }
    if (known !== null) {
      clock.at(at(0) + SIGN_MS + GOSSIP_MS, () => this.begin(slot + 1, known));
      for (let interval = 1; interval < INTERVALS; interval++)
        clock.at(at(interval), () => this.body?.tick(slot));
    }
    for (let nth = 0; nth < scenario.aggregators; nth++)
      clock.at(at(AGGREGATE) + random.between(0, BURST_MS), () => this.aggregate(slot, nth));
  }

  private begin(blockSlot: number, known: number): void {
    const { scenario, provers, clock } = this;
    const startAtMs = blockSlot * scenario.slotMs;
    this.body = new BodyOfBlock({ blockSlot, startAtMs }, { provers, clock });
    this.body.offer(
      Array.from({ length: known }, (_, nth) =>
        this.message(`k${blockSlot}/${nth}`, blockSlot - 2),
      ),
    );
  }

  private message(name: string, slot: number): Message {
    return { name, slot, validators: Array.from({ length: this.scenario.votes }, (_, at) => at) };
  }

  private propose(slot: number, record: SlotResult): void {
    const { scenario, body } = this;
    if (body === undefined) return;
    this.body = undefined;
    const taken = body.take();
    record.made = taken.length;
    if (!scenario.hasBlockProofs) return;
    record.blockProofMs = Infinity;
    this.clock.at(this.clock.nowMs() + SIGN_MS, () => this.proveBlock(slot, taken, record));
  }

  private proveBlock(slot: number, body: readonly Message[], record: SlotResult): void {
    const signedAtMs = this.clock.nowMs();
    const leftMs = (slot + 1) * this.scenario.slotMs - signedAtMs;
    const snapshot = this.snapshot(`proposer-${slot % 8}`, slot, {
      priority: 1,
      deadlineMs: leftMs,
      fenceMs: leftMs,
    });
    const signed = { name: `block ${slot}`, slot, validators: [slot % 100] };
    this.provers.submit(snapshot, mergeGroup(body, signed), (validators) => {
      if (validators !== undefined) record.blockProofMs = this.clock.nowMs() - signedAtMs;
    });
  }

  private aggregate(slot: number, nth: number): void {
    const { slotMs } = this.scenario;
    const { times } = this;
    const record = this.slots.get(slot);
    if (record === undefined) return;
    const atMs = this.clock.nowMs();
    const message = this.message(`v${slot}/${nth}`, slot);
    record.votesMs[nth] = Infinity;
    const fence = fenceAtMs(times, slot);
    const limits = { priority: 2, deadlineMs: VOTES_DEADLINE_MS, fenceMs: fence - atMs } as const;
    const steps = stepsOf(times, slot, { atMs, fenceAtMs: fence });
    const snapshot = { ...this.snapshot(`aggregator-${nth}`, slot, limits), steps };
    this.provers.submit(snapshot, voteGroup(message), (validators) => {
      if (validators === undefined) return;
      record.votesMs[nth] = this.clock.nowMs() - slot * slotMs;
      this.clock.at(this.clock.nowMs() + GOSSIP_MS, () => {
        if (this.scenario.hasFresh && this.body?.blockSlot === slot + 1)
          this.body.add({ ...message, validators });
      });
    });
  }

  private snapshot(
    node: string,
    slot: number,
    limits: { priority: 1 | 2; deadlineMs: number; fenceMs: number },
  ) {
    return { atMs: this.clock.nowMs(), node, slot, mayShed: true, steps: [], ...limits };
  }
}
