/** Changed copies of maps. Each function returns the map itself when there is nothing to change. */

/** The map with the entry set; always a copy. */
export function withEntry<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  return new Map(map).set(key, value);
}

/** The map with every value changed; the same map when `change` returns each value as it was. */
export function withChanges<K, V>(map: ReadonlyMap<K, V>, change: (value: V) => V) {
  let changed: Map<K, V> | null = null;
  for (const [key, value] of map) {
    const next = change(value);
    if (next !== value) changed = (changed ?? new Map(map)).set(key, next);
  }
  return changed ?? map;
}

/** The map without the entries that match; the same map when none does. */
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

/** The map without this key; the same map when it has none. */
export function withoutKey<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  if (!map.has(key)) return map;
  const kept = new Map(map);
  kept.delete(key);
  return kept;
}
