/** A layout as the setting `devices`, in the form in which `serve` takes it. Pure. */
import { isDeepStrictEqual } from "node:util";
import { deviceSchema } from "../../server/prover/device/device.js";
import type { DeviceConfig } from "../../server/prover/device/device.js";
import type { Layout } from "./layouts.js";
import { coreList } from "./topology.js";

/** A device with the keys that differ from the defaults. */
export type WrittenDevice = Readonly<Record<string, unknown>> & { readonly id: string };

/** What `tune` chooses for each device. */
const CHOSEN: readonly string[] = ["id", "cores", "threads"];

/**
 * The first device that is unlike the first of all, beside what `tune` chooses, and the keys by which
 * it is; undefined where all are alike.
 */
export function unlike([first, ...others]: readonly DeviceConfig[]):
  { id: string; keys: string[] } | undefined {
  for (const other of others) {
    const all = new Set([...Object.keys(first ?? {}), ...Object.keys(other)]) as Set<
      keyof DeviceConfig
    >;
    const keys = [...all].filter((key) => !isDeepStrictEqual(first?.[key], other[key]));
    const odd = keys.filter((key) => !CHOSEN.includes(key));
    if (odd.length > 0) return { id: other.id, keys: odd };
  }
  return undefined;
}

/** @param base its prover or backend, niceness, environment and user are those of each device */
export function devicesOf({ cores, threads }: Layout, base: DeviceConfig): WrittenDevice[] {
  const { nice, env, user, fileMb, cacheFolder, prover, backend } = base;
  const defaults = deviceSchema.parse({ id: base.id });
  const rest = {
    ...(threads !== 0 && { threads }),
    ...(nice !== defaults.nice && { nice }),
    ...(Object.keys(env).length > 0 && { env }),
    ...(user !== undefined && { user: `${user.uid}:${user.gid}` }),
    ...(fileMb !== defaults.fileMb && { fileMb }),
    ...(cacheFolder !== undefined && { cacheFolder }),
    ...(prover !== undefined && { prover }),
    ...(backend !== undefined && { backend }),
  };
  return cores.map((own, lane) => ({
    id: cores.length === 1 ? base.id : laneId(base.id, lane),
    cores: coreList(own),
    ...rest,
  }));
}

/** `cpu3`, of a device `cpu` or `cpu0`, in the 32 characters that a name may have. */
function laneId(id: string, lane: number): string {
  const stem = id.replace(/\d+$/, "") || "lane";
  return `${stem.slice(0, 30)}${lane}`;
}
