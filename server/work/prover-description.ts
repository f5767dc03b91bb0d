/** What a prover says of itself. Provers of one service have the same scheme and revision. */
import type { BackendDescription } from "../../native/addon.js";

export interface ProverDescription extends BackendDescription {
  /** Its results are only simulated: no proof of it can be taken for a real one. */
  fake: boolean;
}
