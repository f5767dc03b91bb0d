/** The body of one block, which its proposer has merged ahead by the service: see `growCandidate`. */
import type { CandidateEvent, CandidateState } from "../../../client/machine/candidate.js";
import {
  CANDIDATE_MERGES_MAX,
  createCandidate,
  growCandidate,
} from "../../../client/machine/candidate.js";
import type { VirtualClock } from "../../sim/virtual-clock.js";
import type { BlockProvers } from "./block-provers.js";
import type { Message } from "./block-work.js";
import { mergeGroup } from "./block-work.js";

/** After its slot's start a finished body may still be taken for so long; no default of the adapter. */
const GRACE_MS = 500;
const COMPONENTS_MAX = 16;

export interface BodyOptions {
  blockSlot: number;
  startAtMs: number;
}

export class BodyOfBlock {
  private state: CandidateState<Message, null>;
  private messages: readonly Message[] = [];

  constructor(
    private readonly options: BodyOptions,
    private readonly modules: { provers: BlockProvers; clock: VirtualClock },
  ) {
    const mergesMax = modules.provers.canReplace ? CANDIDATE_MERGES_MAX : 1;
    this.state = createCandidate(COMPONENTS_MAX, mergesMax);
  }

  get blockSlot(): number {
    return this.options.blockSlot;
  }

  offer(messages: readonly Message[]): void {
    this.messages = messages;
    const components = messages.map((component) => ({ key: component.name, worth: 1, component }));
    this.dispatch({ kind: "offered", ...this.block, components });
  }

  add(message: Message): void {
    this.offer([...this.messages, message]);
  }

  tick(slot: number): void {
    this.dispatch({ kind: "tick", slot });
  }

  /** The messages of the best finished proof; none without one. */
  take(): readonly Message[] {
    const { state, effects } = growCandidate(this.state, { kind: "take", ...this.block });
    this.state = state;
    for (const effect of effects) if (effect.kind === "cancel") this.cancel(effect.requestId);
    const taken = effects.find((effect) => effect.kind === "taken");
    return taken?.candidate?.components ?? [];
  }

  private get block() {
    return { slot: this.options.blockSlot, parent: "" };
  }

  private get node(): string {
    return `proposer-${this.options.blockSlot % 8}`;
  }

  private dispatch(event: CandidateEvent<Message, null>): void {
    const { state, effects } = growCandidate(this.state, event);
    this.state = state;
    for (const effect of effects) {
      if (effect.kind === "submit") this.submit(effect.components);
      if (effect.kind === "cancel") this.cancel(effect.requestId);
    }
  }

  private cancel(requestId: string): void {
    this.modules.provers.cancel(this.node, requestId);
  }

  private submit(components: readonly Message[]): void {
    const { provers, clock } = this.modules;
    const { blockSlot, startAtMs } = this.options;
    const atMs = clock.nowMs();
    const leftMs = startAtMs - atMs;
    let requestId = "";
    const snapshot = {
      ...{ atMs, node: this.node, slot: blockSlot, priority: 2 as const, mayShed: false },
      deadlineMs: leftMs,
      fenceMs: leftMs + GRACE_MS,
      steps: [{ untilAtMs: startAtMs, weight: 1 }],
    };
    const answer = provers.submit(
      snapshot,
      mergeGroup(components, undefined),
      (validators, why) => {
        if (validators !== undefined)
          this.dispatch({ kind: "proved", requestId, proof: null, isVerified: true });
        else if (why !== undefined) this.dispatch({ kind: why, requestId });
        else this.dispatch({ kind: "failed", requestId, bad: [] });
      },
    );
    if (answer.kind === "accepted") {
      ({ requestId } = answer.accepted);
      this.dispatch({ kind: "submitted", requestId });
    } else {
      const isMiss = answer.reason === "predicted_miss";
      if (isMiss) this.dispatch({ kind: "missed", requestId: null });
      else this.dispatch({ kind: "skipped", requestId: null, isFinal: false });
    }
  }
}
