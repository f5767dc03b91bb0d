/** Whether this machine can render the chart: without Go and without helm it cannot. */
import { hasProgram } from "../interop/interop-tools.js";

function missing(): string | undefined {
  if (!hasProgram("go", "version")) return "Go";
  return hasProgram("python3", "-m", "pip", "--version") ? undefined : "python3 with pip";
}

const tool = missing();
/** For a suite's title: says why it is skipped. Undefined: all is there. */
export const missingTools = tool === undefined ? undefined : ` (skipped: ${tool} is missing)`;
