/** The lane hosts that are gone lately, for the operator: each as it was last, with the cause. */
import type { LaneHostView } from "../../lane/lane-hosts.js";

const KEPT_MS = 3_600_000;
/** Hosts that are gone and shown; more would hide those that are heard. */
const KEPT_MAX = 64;

export class GoneHosts {
  /** The one that is gone for longest comes first. */
  private readonly gone = new Map<string, LaneHostView>();

  add(host: LaneHostView): void {
    this.gone.delete(host.id);
    this.gone.set(host.id, host);
    const [first] = this.gone.keys();
    if (this.gone.size > KEPT_MAX && first !== undefined) this.gone.delete(first);
  }

  views(nowMs: number): readonly LaneHostView[] {
    for (const [id, { heardAtMs }] of this.gone) {
      if (nowMs - heardAtMs >= KEPT_MS) this.gone.delete(id);
    }
    return [...this.gone.values()];
  }
}
