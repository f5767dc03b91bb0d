/** The live page: reads the stream into the model, draws it a few times a second, and takes keys. */
import { ActivityModel } from "../model/activity-model.js";
import { describeGroup, describeLane } from "../model/describe.js";
import { msText, words } from "../model/figures.js";
import { drawDevices, drawFigures, drawLosses, drawNodes, item, legendItems } from "./cards.js";
import { ShownTime, SPANS_MS } from "./clock.js";
import type { CostAxis } from "./costs-chart.js";
import { axisNames, drawCosts } from "./costs-chart.js";
import { byId, html, svg } from "./dom.js";
import { Selection } from "./pointer.js";
import { answers, StreamError } from "./stream.js";
import { Timeline } from "./timeline.js";

const RETRY_MS = 1000;
const DRAW_MS = 100;
/** What moves is drawn once a second for a user who wants less motion. */
const CALM_DRAW_MS = 1000;
/** Tables and curves are drawn this often: a number that changes faster cannot be read. */
const CARDS_MS = 500;

class App {
  private readonly model = new ActivityModel();
  private readonly time = new ShownTime();
  private readonly timeline = new Timeline(svgOf("chart"));
  private readonly selection: Selection;
  private token = "";
  private axis: CostAxis = "raws";
  private cardsAtMs = -Infinity;
  private lastText = "";

  constructor() {
    this.selection = new Selection({
      box: byId("timeline"),
      spoken: byId("selected-text"),
      tooltip: byId("tooltip"),
      timeline: this.timeline,
      describe: (key) => this.describe(key),
    });
    byId("legend").append(...legendItems());
    this.addButtons();
    document.addEventListener("keydown", (event) => this.takeKey(event));
  }

  start(): void {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    void this.read();
    setInterval(() => this.draw(), isCalm ? CALM_DRAW_MS : DRAW_MS);
    addEventListener("resize", () => this.draw());
  }

  /** Reads the stream for ever, or until a recording is read whole. */
  private async read(): Promise<void> {
    for (;;) {
      try {
        for await (const answer of answers(this.token, new AbortController().signal)) {
          if (this.model.last !== undefined && this.model.last.run !== answer.run)
            this.time.reset();
          this.model.take(answer);
          this.time.take(answer);
          this.say(answer.isRecorded ? "a recording" : "live");
          byId("token-form").hidden = true;
          byId("notice").hidden = true;
        }
        if (this.model.last?.isRecorded === true) return;
        this.say("the service closed the stream, reconnecting");
      } catch (error) {
        const needsToken = error instanceof StreamError && isOfCaller(error.code);
        if (needsToken) await this.askToken(error.message);
        else this.say(`not connected, trying again: ${messageOf(error)}`);
        if (needsToken) continue;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  private async askToken(message: string): Promise<void> {
    this.say("permission denied");
    const notice = byId("notice");
    notice.textContent = message;
    notice.hidden = false;
    const form = byId("token-form");
    const input = byId("token");
    form.hidden = false;
    input.focus();
    await new Promise<void>((resolve) => {
      const submit = (event: Event) => {
        event.preventDefault();
        if (input instanceof HTMLInputElement) this.token = input.value.trim();
        form.removeEventListener("submit", submit);
        resolve();
      };
      form.addEventListener("submit", submit);
    });
  }

  private say(text: string): void {
    if (text === this.lastText) return;
    this.lastText = text;
    byId("link").textContent = text;
  }

  private draw(): void {
    const { model, time } = this;
    const { last } = model;
    if (last === undefined || document.hidden) return;
    const span = time.span();
    const isEmpty = model.groups.size === 0 && model.skips.length === 0;
    byId("empty").hidden = !isEmpty;
    this.timeline.draw(model, span, this.selection.key);
    this.selection.show();
    if (performance.now() < this.cardsAtMs + CARDS_MS) return;
    this.cardsAtMs = performance.now();
    this.drawHead(isEmpty);
    drawFigures(byId("figures"), model, span);
    drawDevices(byId("devices"), model, span);
    drawNodes(byId("nodes"), model, span);
    drawLosses(byId("losses"), model, span);
    this.drawCosts();
  }

  private drawHead(isEmpty: boolean): void {
    const { last, missed } = this.model;
    if (last === undefined) return;
    const state = byId("state");
    state.textContent = last.isRecorded ? "recording" : words(last.state);
    state.className = `pill ${last.state}`;
    state.title = last.detail;
    const gaps = missed > 0 ? ` · ${missed} activities missed` : "";
    byId("names").textContent = `${last.service} · ${last.version} · run ${last.run}${gaps}`;
    const pause = byId("pause");
    pause.textContent = this.time.isLive ? "Pause" : "Go live";
    pause.setAttribute("aria-pressed", String(!this.time.isLive));
    if (!isEmpty) return;
    byId("empty-command").textContent = "lean-aggregator example | lean-aggregator submit -";
    byId("empty-detail").textContent = last.detail === "" ? "" : `Not ready: ${last.detail}`;
  }

  private drawCosts(): void {
    const devices = [...this.model.costs.keys()].sort().slice(0, 6);
    drawCosts(svgOf("costs"), this.model, this.axis, devices);
    const swatch = (at: number) =>
      svg("rect", { class: `swatch series-${at}`, x: 0, y: 3, width: 18, height: 5 });
    byId("cost-legend").replaceChildren(...devices.map((name, at) => item(name, swatch(at))));
  }

  private describe(key: string): string[] {
    const { model, time } = this;
    const nowMs = time.nowMs();
    const group = model.groups.get(key);
    if (group !== undefined) return describeGroup(group, model, nowMs);
    const [device = ""] = key.split("#");
    const bar = model.lanes.get(device)?.find((each) => each.key === key);
    return bar === undefined ? [] : describeLane(bar, model, nowMs);
  }

  private addButtons(): void {
    const spans = SPANS_MS.map((ms) => {
      const button = html("button", { type: "button" }, msText(ms).replace(".0 s", " s"));
      button.addEventListener("click", () => this.setLength(ms));
      button.dataset["ms"] = String(ms);
      return button;
    });
    byId("spans").replaceChildren(...spans);
    this.setLength(this.time.lengthMs);
    const axes: [CostAxis, string][] = [
      ["raws", "signatures"],
      ["children", "children"],
      ["messages", "merges"],
    ];
    const buttons = axes.map(([axis, name]) => {
      const button = html("button", { type: "button", title: axisNames[axis] }, name);
      button.addEventListener("click", () => {
        this.axis = axis;
        for (const each of buttons) each.ariaPressed = String(each === button);
        this.drawCosts();
      });
      button.ariaPressed = String(axis === this.axis);
      return button;
    });
    byId("cost-axes").replaceChildren(...buttons);
    byId("pause").addEventListener("click", () => this.togglePause());
    byId("help-button").addEventListener("click", () => this.showHelp());
  }

  private setLength(ms: number): void {
    this.time.lengthMs = ms;
    for (const button of byId("spans").querySelectorAll("button")) {
      button.ariaPressed = String(button.dataset["ms"] === String(ms));
    }
    this.draw();
  }

  private togglePause(): void {
    this.time.toggle();
    this.cardsAtMs = -Infinity;
    this.draw();
  }

  private showHelp(): void {
    const help = byId("help");
    if (help instanceof HTMLDialogElement) help.showModal();
  }

  private takeKey(event: KeyboardEvent): void {
    const { target, key, shiftKey } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target instanceof HTMLInputElement)
      return;
    const isButton = target instanceof HTMLButtonElement;
    if (key === " " && !isButton) this.togglePause();
    else if (key === "?") this.showHelp();
    else if (key === "+" || key === "-") {
      this.time.zoom(key === "+" ? -1 : 1);
      this.setLength(this.time.lengthMs);
    } else if (shiftKey && key === "ArrowLeft") this.time.move(-0.25);
    else if (shiftKey && key === "ArrowRight") this.time.move(0.25);
    else return;
    event.preventDefault();
    this.cardsAtMs = -Infinity;
    this.draw();
  }
}

/** Whether the service refused the caller, and not the call. */
const isOfCaller = (code: string) => ["unauthenticated", "permission_denied"].includes(code);

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function svgOf(id: string): SVGSVGElement {
  const element = byId(id);
  if (!isSvg(element)) throw new Error(`${id} is no drawing`);
  return element;
}

function isSvg(element: Element): element is SVGSVGElement {
  return element instanceof SVGSVGElement;
}

new App().start();
