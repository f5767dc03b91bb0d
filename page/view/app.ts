/** The live page: reads the stream into the model, draws it a few times a second, and takes keys. */
import { ActivityModel, barOf } from "../model/activity-model.js";
import type { Answer } from "../model/answer.js";
import type { CostAxis } from "../model/cost-curves.js";
import { costCurves } from "../model/cost-curves.js";
import { describeGroup, describeLane } from "../model/describe.js";
import { msText, systemOf, systemsOf, words } from "../model/figures.js";
import { Playback } from "../model/playback.js";
import { drawDevices, drawFigures, drawLosses, drawNodes, item, legendItems } from "./cards.js";
import { ShownTime, SPANS_MS } from "./clock.js";
import { axisNames, drawCosts, lookOfCurve, rateText } from "./costs-chart.js";
import { byId, html, isHeld, setText, svg } from "./dom.js";
import { Player } from "./player.js";
import { Selection } from "./pointer.js";
import { answers, StreamError } from "./stream.js";
import type { Span } from "./timeline.js";
import { Timeline } from "./timeline.js";

const RETRY_MS = 1000;
const DRAW_MS = 100;
/** What moves is drawn once a second for a user who wants less motion. */
const CALM_DRAW_MS = 1000;
/** Tables and curves are drawn this often: a number that changes faster cannot be read. */
const CARDS_MS = 500;
/** What stands in an HTTP header, without spaces. */
const TOKEN = /^[\x21-\x7e]*$/;
const CARDS = [
  ["figures", drawFigures],
  ["devices", drawDevices],
  ["nodes", drawNodes],
  ["losses", drawLosses],
] as const;

class App {
  private readonly live = new ActivityModel();
  /** Of a recording; empty when the page is live. */
  private playback = new Playback();
  /** Undefined until a recording is read. */
  private player: Player | undefined;
  private readonly time = new ShownTime();
  private readonly timeline = new Timeline(svgOf("chart"));
  private readonly selection: Selection;
  private token = "";
  /** Called for each token that the user gives. */
  private tokenGiven: () => void = () => undefined;
  /** Undefined until the first stream has an answer or fails. */
  private isConnected: boolean | undefined;
  private axis: CostAxis = "raws";
  private cardsAtMs = -Infinity;
  /** False once what stands still is drawn. */
  private areCardsGoing = true;

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
    this.addTokenForm();
    document.addEventListener("keydown", (event) => this.takeKey(event));
  }

  private get model(): ActivityModel {
    return this.player === undefined ? this.live : this.playback.model;
  }

  start(): void {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    void this.read();
    setInterval(() => this.draw(), isCalm ? CALM_DRAW_MS : DRAW_MS);
    addEventListener("resize", () => this.redraw());
  }

  /** Reads the stream for ever, or until a recording is read whole. */
  private async read(): Promise<void> {
    for (;;) {
      this.live.streamBegins();
      // A recording is sent from its start each time.
      this.playback = new Playback();
      try {
        for await (const answer of answers(this.token)) {
          this.take(answer);
          byId("token-form").hidden = true;
          byId("notice").hidden = true;
        }
        if (!this.playback.isEmpty) return this.play();
        this.lose();
        this.say("the service closed the stream, reconnecting");
      } catch (error) {
        this.lose();
        const needsToken = error instanceof StreamError && isOfCaller(error.code);
        if (needsToken) await this.askToken(error.message);
        else this.say(`not connected, trying again: ${messageOf(error)}`);
        if (needsToken) continue;
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  private take(answer: Answer): void {
    const { live, playback, time } = this;
    if (this.isConnected !== true) {
      this.isConnected = true;
      this.drawState();
    }
    if (answer.isRecorded) {
      playback.take(answer);
      return this.say("reading the recording");
    }
    if (live.last !== undefined && live.last.run !== answer.run) time.reset();
    live.take(answer);
    time.take(answer);
    this.say("live");
  }

  private lose(): void {
    if (this.isConnected === false) return;
    this.isConnected = false;
    this.time.lose();
    this.drawState();
    this.redraw();
  }

  private play(): void {
    this.player = new Player(this.playback, () => this.redraw());
    this.time.recording = this.player.clock;
    this.time.recording.play(performance.now());
    this.say("a recording");
    this.redraw();
  }

  private async askToken(message: string): Promise<void> {
    this.say("permission denied");
    const notice = byId("notice");
    notice.textContent = message;
    notice.hidden = false;
    byId("token-form").hidden = false;
    byId("token").focus();
    await new Promise<void>((resolve) => (this.tokenGiven = resolve));
  }

  private addTokenForm(): void {
    const input = byId("token");
    byId("token-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const token = input instanceof HTMLInputElement ? input.value.trim() : "";
      if (!TOKEN.test(token)) {
        byId("notice").hidden = false;
        byId("notice").textContent =
          "The token has a space or a character that is not ASCII. Copy the token alone.";
        return;
      }
      this.token = token;
      this.tokenGiven();
    });
  }

  private say(text: string): void {
    setText(byId("link"), text);
  }

  private draw(): void {
    if (document.hidden) return;
    const { time } = this;
    const span = time.span();
    if (this.player !== undefined) {
      this.playback.show(span.nowMs);
      this.player.draw();
    }
    const { model } = this;
    if (model.last === undefined) return;
    const isNothing = model.groups.size === 0 && model.skips.length === 0;
    const isEmpty = isNothing && !model.last.isRecorded;
    byId("empty").hidden = !isEmpty;
    this.timeline.draw(model, span, this.selection.key);
    this.selection.show();
    if (performance.now() < this.cardsAtMs + CARDS_MS) return;
    // What stands still is drawn once more, and after each act of the user.
    const isAsked = this.cardsAtMs === -Infinity;
    this.cardsAtMs = performance.now();
    this.drawHead(isEmpty);
    const { isGoing } = time;
    if (isGoing || isAsked || this.areCardsGoing) this.drawCards(span);
    this.areCardsGoing = isGoing;
  }

  private drawCards(span: Span): void {
    for (const [id, drawCard] of CARDS) {
      const element = byId(id);
      if (!isHeld(element)) drawCard(element, this.model, span);
    }
    if (!isHeld(byId("cost-legend"))) this.drawCosts();
  }

  /** Says it also before the first answer. */
  private drawState(): void {
    const { last } = this.model;
    const state = byId("state");
    const [text, look, title] =
      this.isConnected === false
        ? ["no connection", "no_connection", ""]
        : last === undefined
          ? ["connecting", "", ""]
          : [last.isRecorded ? "recording" : words(last.state), last.state, last.detail];
    setText(state, text);
    state.className = `pill ${look}`.trim();
    state.title = title;
  }

  private drawHead(isEmpty: boolean): void {
    const { last, missed } = this.model;
    if (last === undefined) return;
    this.drawState();
    const gaps = missed > 0 ? ` · ${missed} activities missed` : "";
    setText(byId("names"), `${last.service} · ${last.version} · run ${last.run}${gaps}`);
    const pause = byId("pause");
    const { isGoing } = this.time;
    setText(pause, isGoing ? "Pause" : last.isRecorded ? "Play" : "Go live");
    pause.setAttribute("aria-pressed", String(!isGoing));
    if (!isEmpty) return;
    setText(byId("empty-command"), "lean-aggregator example | lean-aggregator submit -");
    setText(byId("empty-detail"), last.detail === "" ? "" : `Not ready: ${last.detail}`);
  }

  private drawCosts(): void {
    const devices = [...this.model.costs.keys()].sort().slice(0, 6);
    drawCosts(svgOf("costs"), this.model, this.axis, devices);
    const legend = costCurves(this.model, this.axis, devices).map((curve) => {
      const line = { class: `cost-line ${lookOfCurve(curve)}`, x1: 0, x2: 18, y1: 5.5, y2: 5.5 };
      return item(this.titleOf(curve.device) + rateText(curve), svg("line", line));
    });
    byId("cost-legend").replaceChildren(...legend);
  }

  /** The device's name, and its proof system where several are. */
  private titleOf(id: string): string {
    const { devices } = this.model;
    const device = devices.find((each) => each.id === id);
    if (device === undefined || systemsOf(devices).length < 2) return id;
    return `${id} · ${systemOf(device)}`;
  }

  private describe(key: string): string[] {
    const { model, time } = this;
    const nowMs = time.nowMs();
    const group = model.groups.get(key);
    if (group !== undefined) return describeGroup(group, model, nowMs);
    const bar = barOf(key, model);
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
    this.redraw();
  }

  private togglePause(): void {
    this.time.toggle();
    this.redraw();
  }

  /** Draws all at once, after an act of the user. */
  private redraw(): void {
    this.cardsAtMs = -Infinity;
    this.draw();
  }

  private showHelp(): void {
    const help = byId("help");
    if (help instanceof HTMLDialogElement) help.showModal();
  }

  private takeKey(event: KeyboardEvent): void {
    const { target, key, shiftKey } = event;
    const isSlider = target instanceof HTMLInputElement && target.type === "range";
    const isTyping = target instanceof HTMLInputElement && !isSlider;
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    const isButton = target instanceof HTMLButtonElement;
    if (key === " " && !isButton) this.togglePause();
    else if (key === "?") this.showHelp();
    else if (key === "+" || key === "-") {
      this.time.zoom(key === "+" ? -1 : 1);
      this.setLength(this.time.lengthMs);
    } else if (shiftKey && key === "ArrowLeft") this.time.move(-0.25);
    else if (shiftKey && key === "ArrowRight") this.time.move(0.25);
    else if (isSlider || this.player?.takeKey(key) !== true) return;
    event.preventDefault();
    this.redraw();
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
