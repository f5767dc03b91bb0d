/**
 * Creates metrics from a table with one row for each metric. Every metric gets the service's prefix
 * (ADR 0005). Every series exists from the start, so that a rate over it counts the first event.
 */
import { Counter, Gauge, Histogram } from "prom-client";
import type { GaugeConfiguration, Registry } from "prom-client";

export const PREFIX = "lean_aggregator_server_";

/** Instead of a label's values: they are known only at run time, and the code that sets them bounds their number. */
export const AT_RUN_TIME = "at run time";

/**
 * All values of each label, by its name. There is a series for each combination of them, or for each
 * of the row's `series`, from the start; with a label `AT_RUN_TIME` a series exists from its first value on.
 */
type LabelValues = Readonly<Record<string, readonly string[] | typeof AT_RUN_TIME>>;

interface Row {
  /** Without the prefix. Ends in the unit, if any; a counter's ends in `_total`. */
  name: string;
  help: string;
  labels?: LabelValues;
  /** The combinations of labels that exist. Default: all. */
  series?: readonly Readonly<Record<string, string>>[];
}
interface CounterRow extends Row {
  kind: "counter";
}
interface GaugeRow extends Row {
  kind: "gauge";
  /** Value of each series at the start. "absent": no series before its first value. Default: 0. */
  start?: number | "absent";
}
interface HistogramRow extends Row {
  kind: "histogram";
  /** Upper bounds of the buckets, in the unit of the name. */
  buckets: readonly number[];
}
export type MetricTable = Readonly<Record<string, CounterRow | GaugeRow | HistogramRow>>;

type ValueOf<V> = V extends readonly string[] ? V[number] : string;
type Labels<R> = R extends { labels: infer L extends LabelValues }
  ? [labels: { readonly [Name in keyof L]: ValueOf<L[Name]> }]
  : [];
interface Readable {
  get(): Promise<{ values: { value: number; labels: object }[] }>;
}
export interface CounterOf<R> extends Readable {
  inc(...args: [...Labels<R>, count?: number]): void;
  /** Ends the series with these labels. */
  remove(...args: Labels<R>): void;
}
export interface GaugeOf<R> extends Readable {
  inc(...args: [...Labels<R>, count?: number]): void;
  dec(...args: [...Labels<R>, count?: number]): void;
  set(...args: [...Labels<R>, value: number]): void;
  /** Ends the series with these labels. */
  remove(...args: Labels<R>): void;
  /** Reads the value at each scrape. Only for a gauge without labels. */
  readBy(read: () => number): void;
  /** Reads all series at each scrape: one that is not returned has ended. */
  readEach(read: () => readonly (readonly [...Labels<R>, value: number])[]): void;
}
export interface HistogramOf<R> extends Readable {
  observe(...args: [...Labels<R>, value: number]): void;
  /** Ends the series with these labels. */
  remove(...args: Labels<R>): void;
}
type MetricOf<R> = R extends CounterRow
  ? CounterOf<R>
  : R extends GaugeRow
    ? GaugeOf<R>
    : HistogramOf<R>;

/** The metrics of a table, each under its row's key; the types check label values. */
export type MetricsOf<T extends MetricTable> = { readonly [Key in keyof T]: MetricOf<T[Key]> };

/** Creates and registers the metrics; throws when the registry has one of the names already. */
export function createFromTable<const T extends MetricTable>(
  registry: Registry,
  table: T,
): MetricsOf<T>;
export function createFromTable(registry: Registry, table: MetricTable): object {
  const entries = Object.entries(table).map(([key, row]) => [key, createMetric(registry, row)]);
  return Object.fromEntries(entries);
}

/** The sum of the metric's series that have these labels; by default of all. */
export async function totalOf(
  metric: Pick<CounterOf<CounterRow>, "get">,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { values } = await metric.get();
  const expected = Object.entries(labels);
  return values
    .filter(({ labels: own }) => expected.every(([key, is]) => Reflect.get(own, key) === is))
    .reduce((sum, { value }) => sum + value, 0);
}

/** prom-client calls `collect` before each scrape. */
function createGauge(options: GaugeConfiguration<string>) {
  let update = () => {};
  const gauge = new Gauge({ ...options, collect: () => update() });
  const readBy = (read: () => number) => {
    update = () => gauge.set(read());
  };
  const readEach = (read: () => readonly (readonly [Record<string, string>, number])[]) => {
    update = () => {
      gauge.reset();
      for (const [labels, value] of read()) gauge.set(labels, value);
    };
  };
  return Object.assign(gauge, { readBy, readEach });
}

function createMetric(registry: Registry, row: MetricTable[string]): Counter | Gauge | Histogram {
  const { name, help, labels = {} } = row;
  const common = { help, labelNames: Object.keys(labels), registers: [registry] };
  const options = { ...common, name: `${PREFIX}${name}` };
  const series = row.series ?? combinations(labels);
  switch (row.kind) {
    case "counter": {
      const counter = new Counter(options);
      for (const values of series) counter.inc(values, 0);
      return counter;
    }
    case "gauge": {
      const { start = 0 } = row;
      const gauge = createGauge(options);
      if (start !== "absent") for (const values of series) gauge.set(values, start);
      return gauge;
    }
    case "histogram": {
      const histogram = new Histogram({ ...options, buckets: [...row.buckets] });
      for (const values of series) histogram.zero(values);
      return histogram;
    }
  }
}

/**
 * Every combination of one value for each label. Without labels: one empty combination. None when a
 * label's values are known only at run time.
 */
function combinations(labels: LabelValues): Record<string, string>[] {
  return Object.entries(labels).reduce<Record<string, string>[]>(
    (all, [name, values]) => {
      const known = values === AT_RUN_TIME ? [] : values;
      return all.flatMap((before) => known.map((value) => ({ ...before, [name]: value })));
    },
    [{}],
  );
}
