/** Changed copies of maps. All but `withEntry` return the map itself if nothing changes. */

/** A copy of the map with the entry set, even if the map has it already. */
export function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  return new Map(map).set(key, value);
}

/** A copy with each value replaced by `change(value)`; the same map if no value changes. */
export function withChanges<K, V>(map: ReadonlyMap<K, V>, change: (value: V) => V) {
  let changed: Map<K, V> | null = null;
  for (const [key, value] of map) {
    const next = change(value);
    if (next !== value) changed = (changed ?? new Map(map)).set(key, next);
  }
  return changed ?? map;
}

/** A copy without the entries that match; the same map if no entry matches. */
export function withoutEntries<K, V>(
  map: ReadonlyMap<K, V>,
  matches: (value: V, key: K) => boolean,
): ReadonlyMap<K, V> {
  let kept: Map<K, V> | null = null;
  for (const [key, value] of map) {
    if (!matches(value, key)) continue;
    kept ??= new Map(map);
    kept.delete(key);
  }
  return kept ?? map;
}

/** A copy without this key; the same map if it does not have the key. */
export function withoutKey<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  if (!map.has(key)) return map;
  const kept = new Map(map);
  kept.delete(key);
  return kept;
}
