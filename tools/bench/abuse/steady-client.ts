/** A client that behaves, in a process of its own (`steady-process.ts`), and how it fares. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { z } from "zod";

export type ListenerName = "grpc" | "http";

const samples = z.object({
  /** Of calls on a connection that was there before. */
  callMs: z.array(z.number()),
  /** Of calls on a new connection, its making included. */
  newcomerMs: z.array(z.number()),
  /** Why calls failed. */
  failures: z.array(z.string()),
  newcomerFailures: z.array(z.string()),
});
export type Samples = z.infer<typeof samples>;

export class SteadyClient {
  private constructor(private readonly child: ChildProcess) {}

  static async start(addresses: Record<ListenerName, string>): Promise<SteadyClient> {
    const path = join(process.cwd(), "dist/tools/bench/abuse/steady-process.js");
    const child = fork(path, [addresses.grpc, addresses.http], { execArgv: [] });
    await once(child, "message");
    return new SteadyClient(child);
  }

  /** How calls of one listener fare until the promise settles. */
  async during(listener: ListenerName, meanwhile: Promise<unknown>): Promise<Samples> {
    this.child.send({ start: listener });
    await meanwhile;
    this.child.send({ stop: true });
    const [message] = (await once(this.child, "message")) as [unknown];
    return samples.parse(message);
  }

  async close(): Promise<void> {
    const exited = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await exited;
  }
}
