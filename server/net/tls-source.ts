/**
 * Keeps the service's certificate up to date: polls the TLS files, and passes each new valid
 * certificate to the listeners. An invalid one is logged once, is judged again at each poll, and the
 * current one stays in use.
 */
import type { Clock } from "../clock.js";
import { ConfigError, problemText } from "../config/config-error.js";
import type { Logger } from "../log/log.js";
import { checkTlsFiles, readTlsFiles } from "./tls-files.js";
import type { TlsFiles, TlsIdentity, TlsSettings } from "./tls-files.js";
import type { TransportMetrics } from "./metrics.js";
import { WatchedFile } from "../files/watched-file.js";

/** Seconds are often enough: certificates are renewed hours before they expire. */
const POLL_EVERY_MS = 5000;

export interface TlsSourceModules {
  clock: Clock;
  log: Logger;
  transport: TransportMetrics;
}

export class TlsSource {
  /** Called with each new certificate. */
  private readonly servers = new Set<(identity: TlsIdentity) => void>();
  private readonly watched: WatchedFile<TlsFiles>;
  /** The files that were last read, when they are not in use. */
  private rejected: TlsFiles | undefined;

  private constructor(
    settings: TlsSettings,
    private readonly modules: TlsSourceModules,
    /** The files in use. */
    private files: TlsFiles,
    private current: TlsIdentity,
  ) {
    this.exportExpiry();
    const options = {
      everyMs: POLL_EVERY_MS,
      read: () => readTlsFiles(settings),
      digestOf: ({ digest }: TlsFiles) => digest,
      mustSettle: true,
      changed: (found: TlsFiles) => this.take(found),
      polled: () => this.tryAgain(),
    };
    this.watched = new WatchedFile(options, modules.clock, this.files);
  }

  /** Reads the files and starts to poll them. Rejects with `ConfigError` when they are invalid. */
  static async open(settings: TlsSettings, modules: TlsSourceModules): Promise<TlsSource> {
    const files = await readTlsFiles(settings);
    return new TlsSource(settings, modules, files, checkTlsFiles(files, modules.clock.unixMs()));
  }

  get identity(): TlsIdentity {
    return this.current;
  }

  /** Calls `serve` with each new certificate, which is for the handshakes after that. */
  onRenewal(serve: (identity: TlsIdentity) => void): void {
    this.servers.add(serve);
  }

  close(): void {
    this.watched.close();
  }

  /** Reads the files now. Resolves with whether they are in use; otherwise logs why not. */
  async reload(): Promise<boolean> {
    await this.watched.reload();
    return this.rejected === undefined;
  }

  private take(files: TlsFiles): void {
    const { log, transport } = this.modules;
    const problems = this.use(files);
    if (problems.length === 0) return;
    this.rejected = files;
    transport.certificateReloads.inc({ result: "failure" });
    log.error({ problems }, "new certificate rejected; the current one stays in use");
  }

  /**
   * A certificate that is not valid yet, by this machine's clock, becomes valid with time; and an
   * authority that has expired beside a valid one no longer counts.
   */
  private tryAgain(): void {
    if (this.rejected !== undefined) this.use(this.rejected);
    else this.use(this.files);
  }

  /**
   * Passes the certificate to the listeners, unless it is the one in use. Returns what is wrong with the
   * files, for people.
   */
  private use(files: TlsFiles): string[] {
    const { clock, log, transport } = this.modules;
    try {
      this.current = checkTlsFiles(files, clock.unixMs());
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      return error.problems.map((problem) => problemText(problem));
    }
    this.rejected = undefined;
    this.exportExpiry();
    if (files.digest === this.files.digest) return [];
    this.files = files;
    for (const serve of this.servers) serve(this.current);
    transport.certificateReloads.inc({ result: "success" });
    const expires = new Date(this.current.expiresAtMs.certificate).toISOString();
    log.info({ expires }, "new certificate in use for new connections");
    return [];
  }

  private exportExpiry(): void {
    const { certificate, clientCa } = this.current.expiresAtMs;
    const { certificateExpiry } = this.modules.transport;
    certificateExpiry.set({ certificate: "server" }, certificate / 1000);
    if (clientCa !== undefined)
      certificateExpiry.set({ certificate: "client_ca" }, clientCa / 1000);
  }
}
