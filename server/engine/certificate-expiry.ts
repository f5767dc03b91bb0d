/** Exports when the first certificate of the engine expires. A server of NATS shows its own until it is restarted. */
import { checkEngineFiles } from "./engine-files.js";
import type { EngineSettings } from "./engine-settings.js";
import type { Engine } from "./engine.js";

/** Renewed files of this process are seen within so long: certificates are renewed days before they end. */
const FILES_EVERY_MS = 3_600_000;

/**
 * Sets the gauge at each connection and each hour, to the first expiry of this process's files and of
 * the certificate that the server showed last. Nothing is exported without TLS or without an
 * engine. Returns what ends it.
 */
export function exportCertificateExpiry(
  settings: EngineSettings,
  engine: Engine | undefined,
  gauge: { set(labels: { certificate: "engine" }, unixSeconds: number): void },
): () => void {
  if (engine === undefined) return () => {};
  let serverExpiresAtMs = Infinity;
  const update = () => {
    serverExpiresAtMs = engine.status.serverExpiresAtMs ?? serverExpiresAtMs;
    const { expiresAtMs: ownExpiresAtMs = Infinity } = checkEngineFiles(settings);
    const firstMs = Math.min(serverExpiresAtMs, ownExpiresAtMs);
    if (firstMs !== Infinity) gauge.set({ certificate: "engine" }, firstMs / 1000);
  };
  engine.onStatus(update);
  const timer = setInterval(update, FILES_EVERY_MS).unref();
  update();
  return () => clearInterval(timer);
}
