/**
 * The adapter's machine: `(state, event, nowMs) → { state, effects }`, with no clock, timer or I/O.
 * `PROTOCOL.md` has the rules; a "rule 3" in a comment is one of them. Each file of this room holds
 * some of them.
 */
import { close, forgetOver } from "./closing.js";
import { Draft } from "./draft.js";
import { answerOpening, disconnect, noteService } from "./endpoints.js";
import { cancel, receive, summarise } from "./ending.js";
import type { AdapterEvent } from "./events.js";
import { passTime } from "./fences.js";
import { answerAsk } from "./gates.js";
import { placeHomeless } from "./homeless.js";
import { open } from "./places.js";
import { answerTake, endVerified } from "./proofs.js";
import type { MachineState, MachineStep } from "./state.js";
import { accept, fail, refuse, submit } from "./tries.js";

/** Applies one event. Returns the next state, and the effects to carry out in order. */
export function transition<P>(
  state: MachineState<P>,
  event: AdapterEvent<P>,
  nowMs: number,
): MachineStep<P> {
  const draft = new Draft(state, nowMs);
  if (event.kind === "ask" || event.kind === "take") draft.next.slot = event.slot;
  apply(draft, event);
  placeHomeless(draft);
  passTime(draft);
  forgetOver(draft);
  if (event.kind === "ask") answerAsk(draft, event);
  if (event.kind === "take") answerTake(draft, event);
  if (event.kind === "opening") answerOpening(draft, event);
  return draft.finish();
}

function apply<P>(draft: Draft<P>, event: AdapterEvent<P>): void {
  switch (event.kind) {
    case "submitted":
      return submit(draft, event);
    case "accepted":
      return accept(draft, event);
    case "refused":
      return refuse(draft, event);
    case "failed":
      return fail(draft, event);
    case "opened":
      return open(draft, event);
    case "status":
      return noteService(draft, event.endpoint, event.state);
    case "disconnected":
      return disconnect(draft, event);
    case "outcome":
      return receive(draft, event);
    case "summary":
      return summarise(draft, event);
    case "verified":
      return endVerified(draft, event);
    case "cancel":
      return cancel(draft, event);
    case "closing":
      draft.next.isClosing = true;
      return;
    case "closed":
      return close(draft);
    case "ask":
    case "take":
    case "opening":
    case "tick":
      return;
    default:
      throw new TypeError(event satisfies never);
  }
}
