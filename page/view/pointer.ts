/** Selects a bar by pointer or arrow key, and says what it is: in a box beside it, and read aloud. */
import { html } from "./dom.js";
import type { Timeline } from "./timeline.js";

export class Selection {
  /** The key of the selected bar; empty for none. */
  key = "";
  private hovered = "";
  private at = { x: 0, y: 0 };

  constructor(
    private readonly parts: {
      box: HTMLElement;
      spoken: HTMLElement;
      tooltip: HTMLElement;
      timeline: Timeline;
      /** The lines of what is said; empty for a key that is not known any more. */
      describe(key: string): string[];
    },
  ) {
    const { box } = parts;
    box.addEventListener("pointermove", (event) => {
      const item = event.target instanceof Element ? event.target.closest("[data-key]") : null;
      this.hovered = item?.getAttribute("data-key") ?? "";
      this.at = { x: event.clientX, y: event.clientY };
      this.show();
    });
    box.addEventListener("pointerleave", () => {
      this.hovered = "";
      this.show();
    });
    box.addEventListener("click", () => this.select(this.hovered));
    box.addEventListener("keydown", (event) => {
      if (event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
      const isTaken = this.takeKey(event.key);
      if (isTaken) event.preventDefault();
    });
    box.addEventListener("blur", () => this.show());
  }

  /** To be called after each drawing: the selected bar may have moved. */
  show(): void {
    const { tooltip, box } = this.parts;
    const isFocused = document.activeElement === box;
    const key = this.hovered || (isFocused ? this.key : "");
    const lines = key === "" ? [] : this.parts.describe(key);
    tooltip.hidden = lines.length === 0;
    if (lines.length === 0) return;
    tooltip.replaceChildren(...lines.map((line) => html("p", {}, line)));
    const { x, y } = this.hovered !== "" ? this.at : this.placeOf(key);
    const left = Math.min(x + 14, innerWidth - tooltip.offsetWidth - 8);
    const below = y + 16 + tooltip.offsetHeight < innerHeight;
    tooltip.style.left = `${Math.max(8, left)}px`;
    tooltip.style.top = `${below ? y + 16 : Math.max(8, y - tooltip.offsetHeight - 12)}px`;
  }

  private placeOf(key: string): { x: number; y: number } {
    const bar = this.parts.timeline.drawn.find((each) => each.key === key);
    const { left, top } = this.parts.box.getBoundingClientRect();
    const { scrollTop } = this.parts.box;
    return { x: left + Math.max(180, bar?.x ?? 0), y: top + (bar?.y ?? 0) - scrollTop };
  }

  private select(key: string): void {
    this.key = key;
    const lines = key === "" ? [] : this.parts.describe(key);
    this.parts.spoken.textContent = lines.join("; ");
    const bar = this.parts.timeline.drawn.find((each) => each.key === key);
    const { box } = this.parts;
    if (bar !== undefined) {
      const isAbove = bar.y - 40 < box.scrollTop;
      if (isAbove || bar.y > box.scrollTop + box.clientHeight) box.scrollTop = bar.y - 60;
    }
    this.show();
  }

  private takeKey(key: string): boolean {
    const rows = { ArrowUp: -1, ArrowDown: 1 }[key];
    const columns = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (key === "Escape") this.select("");
    else if (rows !== undefined) this.moveRow(rows);
    else if (columns !== undefined) this.moveInRow(columns);
    else return false;
    return true;
  }

  /** The nearest bar of the next row that has one. */
  private moveRow(by: number): void {
    const { drawn } = this.parts.timeline;
    const from = drawn.find(({ key }) => key === this.key);
    if (from === undefined) return this.select(drawn[0]?.key ?? "");
    const ahead = drawn.filter(({ row }) => Math.sign(row - from.row) === by);
    const [row] = ahead.map((each) => each.row).sort((a, b) => by * (a - b));
    const [next] = ahead
      .filter((each) => each.row === row)
      .sort((a, b) => Math.abs(a.x - from.x) - Math.abs(b.x - from.x));
    if (next !== undefined) this.select(next.key);
  }

  private moveInRow(by: number): void {
    const { drawn } = this.parts.timeline;
    const from = drawn.find(({ key }) => key === this.key);
    if (from === undefined) return this.select(drawn[0]?.key ?? "");
    const ofRow = drawn.filter(({ row }) => row === from.row).sort((a, b) => a.x - b.x);
    const next = ofRow[ofRow.indexOf(from) + by];
    if (next !== undefined) this.select(next.key);
  }
}
