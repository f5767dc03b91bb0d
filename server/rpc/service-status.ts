/** The status of the service as last seen, and the announcement of each change, for streams. */
import { create, equals } from "@bufbuild/protobuf";
import type { Status } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { StatusSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Changes } from "../changes.js";
import type { StatusModules } from "./messages/status-view.js";
import { statusView } from "./messages/status-view.js";

export class ServiceStatus {
  /** Announces each new status. */
  readonly changes = new Changes();
  private known: Status;

  constructor(private readonly modules: StatusModules) {
    this.known = create(StatusSchema, statusView(modules));
  }

  /** The status of the last `update`: the same object until the status changes. */
  get current(): Status {
    return this.known;
  }

  /**
   * To be called whenever the status may have changed; returns it. A text for people that changes
   * alone is taken, and not announced.
   */
  update(): Status {
    const now = create(StatusSchema, statusView(this.modules));
    this.known.detail = now.detail;
    if (!equals(StatusSchema, now, this.known)) {
      this.known = now;
      this.changes.announce();
    }
    return this.known;
  }
}
