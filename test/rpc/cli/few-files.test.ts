/** Commands under a limit on open files that is too low for Node.js to load the program. */
import { expect, test } from "vitest";
import { MAIN } from "../../helpers/command-line.js";
import { run } from "../../interop/interop-tools.js";

test.each([["serve"], ["--version"], ["health"]])(
  "%s with too few open files says what to raise: exit code 1, and no stack",
  async (command) => {
    const script = `ulimit -n 40; exec "$0" "$@"`;
    const ran = await run("bash", ["-c", script, process.execPath, MAIN, command]);
    expect(ran.stderr).toBe(
      "lean-aggregator: cannot load the program: too many files are open; " +
        "raise the limit to 256 or more with 'ulimit -n' or LimitNOFILE=\n",
    );
    expect(ran.code).toBe(1);
  },
);
