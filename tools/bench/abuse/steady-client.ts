/** A well-behaved client in a process of its own (`steady-process.ts`): it times its calls. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { z } from "zod";

export type ListenerName = "grpc" | "http";

const samples = z.object({
  /** Durations of calls on a connection that was open before, in milliseconds. */
  callMs: z.array(z.number()),
  /** Durations of calls on a new connection, with the time to connect, in milliseconds. */
  newcomerMs: z.array(z.number()),
  /** Error messages of failed calls. */
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

  /** Calls one listener until `meanwhile` resolves, and returns what the calls took. */
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
