/** The controls of a recording: play, speed, position and slot, by pointer and by key. */
import { PlayClock, SPEEDS } from "../model/play-clock.js";
import type { Playback } from "../model/playback.js";
import { byId, html, setText } from "./dom.js";

/** Steps of the position's control. */
const POSITIONS = 1000;

export class Player {
  readonly clock: PlayClock;
  private readonly position = inputOf("position");
  private readonly slot = inputOf("slot");
  private readonly speeds: readonly (readonly [number, HTMLButtonElement])[];

  /** @param changed called after each act of the user */
  constructor(
    private readonly playback: Playback,
    private readonly changed: () => void,
  ) {
    this.clock = new PlayClock(playback.startMs, playback.endMs);
    this.speeds = SPEEDS.map((speed) => [speed, this.speedButton(speed)]);
    byId("speeds").replaceChildren(...this.speeds.map(([, button]) => button));
    this.position.max = String(POSITIONS);
    const seek = () => {
      const { startMs, endMs } = this.clock;
      const share = Number(this.position.value) / POSITIONS;
      this.seek(startMs + share * (endMs - startMs));
    };
    this.position.addEventListener("input", seek);
    const jump = (event: Event) => {
      event.preventDefault();
      this.jump(this.slot.value.trim());
    };
    byId("slot-form").addEventListener("submit", jump);
    byId("slot-before").addEventListener("click", () => this.step(-1));
    byId("slot-after").addEventListener("click", () => this.step(1));
    for (const id of ["player", "recording-keys"]) byId(id).hidden = false;
    const left = playback.leftOut;
    this.say(left > 0 ? `${left} activities are missing` : "");
  }

  draw(): void {
    const nowMs = performance.now();
    const { startMs, endMs, speed } = this.clock;
    const atMs = this.clock.at(nowMs);
    const share = endMs > startMs ? (atMs - startMs) / (endMs - startMs) : 1;
    if (document.activeElement !== this.position || this.clock.isPlaying(nowMs)) {
      this.position.value = String(Math.round(share * POSITIONS));
    }
    const slot = this.slotAt(atMs);
    const text = `${timeText(atMs)} of ${timeText(endMs)}${slot === "" ? "" : `, slot ${slot}`}`;
    setText(byId("position-text"), text);
    this.position.setAttribute("aria-valuetext", text);
    for (const [each, button] of this.speeds) button.ariaPressed = String(each === speed);
  }

  /** False for a key that is not the player's. */
  takeKey(key: string): boolean {
    const nowMs = performance.now();
    if (key === "[" || key === "]") this.step(key === "[" ? -1 : 1);
    else if (key === "," || key === ".") this.clock.changeSpeed(key === "," ? -1 : 1, nowMs);
    else if (key === "Home") this.seek(this.clock.startMs);
    else if (key === "End") this.seek(this.clock.endMs);
    else return false;
    return true;
  }

  private seek(atMs: number): void {
    this.say("");
    this.clock.seek(atMs, performance.now());
    this.changed();
  }

  private jump(slot: string): void {
    const slots = this.playback.slots();
    const found = slots.find((each) => each.slot === slot);
    if (found !== undefined) {
      // The keys are the page's again.
      this.slot.blur();
      return this.seek(found.atMs);
    }
    const [first, last] = [slots[0], slots.at(-1)];
    const has = first === undefined ? "no slot" : `slots ${first.slot} to ${last?.slot ?? ""}`;
    this.say(
      `slot ${slot === "" ? "?" : slot.slice(0, 20)} is not in the recording, which has ${has}`,
    );
  }

  /** To the start of the slot before or after; first to the start of the one that is shown. */
  private step(by: 1 | -1): void {
    const atMs = this.clock.at(performance.now());
    const starts = this.playback.slots().map((each) => each.atMs);
    // A slot that plays has left its start already when the key comes.
    const next = by > 0 ? starts.find((ms) => ms > atMs) : starts.findLast((ms) => ms < atMs - 500);
    this.seek(next ?? (by > 0 ? this.clock.endMs : this.clock.startMs));
  }

  private slotAt(atMs: number): string {
    return this.playback.slots().findLast((each) => each.atMs <= atMs)?.slot ?? "";
  }

  private speedButton(speed: number): HTMLButtonElement {
    const button = html("button", { type: "button" }, `${speed}×`);
    button.setAttribute("aria-label", `${speed} times as fast as it happened`);
    button.addEventListener("click", () => {
      this.clock.setSpeed(speed, performance.now());
      this.changed();
    });
    return button;
  }

  private say(text: string): void {
    byId("player-note").textContent = text;
  }
}

const timeText = (unixMs: number) => new Date(unixMs).toTimeString().slice(0, 8);

function inputOf(id: string): HTMLInputElement {
  const element = byId(id);
  if (!(element instanceof HTMLInputElement)) throw new Error(`${id} is no input`);
  return element;
}
