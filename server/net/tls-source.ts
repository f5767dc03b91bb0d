/**
 * The service's certificate, kept up to date: looks at the files every few seconds, and gives what
 * is new and good to whoever serves with it. What is new and bad is told, and the old one stays.
 */
import type { Clock } from "../clock.js";
import { ConfigError, problemText } from "../config.js";
import type { Logger } from "../log.js";
import { checkTlsFiles, readTlsFiles } from "./tls-files.js";
import type { TlsFiles, TlsIdentity, TlsSettings } from "./tls-files.js";
import type { TransportMetrics } from "./metrics.js";

/**
 * Looked at rather than watched: Kubernetes swaps a link above the files, and other systems' watches
 * lose a file that is replaced. Renewals come hours before they are needed.
 */
const LOOK_EVERY_MS = 5000;

export interface TlsSourceModules {
  clock: Clock;
  log: Logger;
  transport: TransportMetrics;
}

export class TlsSource {
  private readonly servers = new Set<(identity: TlsIdentity) => void>();
  /** The last that were found, whether or not they were good. */
  private knownDigest: string;
  private newDigest: string | undefined;
  private cancel = () => {};
  private isClosed = false;

  private constructor(
    private readonly settings: TlsSettings,
    private readonly modules: TlsSourceModules,
    { digest }: TlsFiles,
    private current: TlsIdentity,
  ) {
    this.knownDigest = digest;
    this.tell();
    this.lookLater();
  }

  /** Rejects with `ConfigError` when the files are no good. */
  static async open(settings: TlsSettings, modules: TlsSourceModules): Promise<TlsSource> {
    const files = await readTlsFiles(settings);
    return new TlsSource(settings, modules, files, checkTlsFiles(files, modules.clock.unixMs()));
  }

  get identity(): TlsIdentity {
    return this.current;
  }

  /** `serve` is told of each new one, for handshakes from then on. */
  onRenewal(serve: (identity: TlsIdentity) => void): void {
    this.servers.add(serve);
  }

  close(): void {
    this.isClosed = true;
    this.cancel();
  }

  private lookLater(): void {
    const { clock } = this.modules;
    this.cancel = clock.at(clock.nowMs() + LOOK_EVERY_MS, () => void this.look());
  }

  private async look(): Promise<void> {
    const files = await readTlsFiles(this.settings);
    if (this.isClosed) return;
    // Found twice in a row: between the two files, a writer may have been at work.
    const isSettled = files.digest === this.newDigest;
    this.newDigest = files.digest;
    if (isSettled && files.digest !== this.knownDigest) this.take(files);
    this.lookLater();
  }

  private take(files: TlsFiles): void {
    const { clock, log, transport } = this.modules;
    this.knownDigest = files.digest;
    try {
      this.current = checkTlsFiles(files, clock.unixMs());
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      transport.certificateReloads.inc({ result: "failure" });
      const problems = error.problems.map((problem) => problemText(problem));
      log.error({ problems }, "new certificate rejected; the current one stays in use");
      return;
    }
    for (const serve of this.servers) serve(this.current);
    transport.certificateReloads.inc({ result: "success" });
    this.tell();
    const expires = new Date(this.current.expiresAtMs.certificate).toISOString();
    log.info({ expires }, "new certificate in use for new connections");
  }

  private tell(): void {
    const { certificate, clientCa } = this.current.expiresAtMs;
    const { certificateExpiry } = this.modules.transport;
    certificateExpiry.set({ certificate: "server" }, certificate / 1000);
    if (clientCa !== undefined)
      certificateExpiry.set({ certificate: "client_ca" }, clientCa / 1000);
  }
}
