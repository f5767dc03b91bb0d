/** For tests of messages that have to be refused. */
import { FleetMessageError } from "../../../server/fleet/wire/codec.js";

/** The error with which `act` refuses a message. Throws when it takes it, or throws another error. */
export function refusal(act: () => unknown): FleetMessageError {
  try {
    act();
  } catch (error) {
    if (error instanceof FleetMessageError) return error;
    throw error;
  }
  throw new Error("the message was taken");
}
