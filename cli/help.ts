/**
 * What the help of each command says after its flags: what it takes, examples, exit codes. Wrapped
 * at 80 columns, as commander wraps what it prints above.
 */
import { NODE_DEFAULT } from "./io/node-default.js";

const program = `
Settings: a flag wins over its LEAN_AGGREGATOR_* variable, that over the file
given with --config, that over the default.
Addresses: host:port in plain text, or over TLS with --tls-ca; https://host:port
over TLS; dns:host:port asks DNS again when a connection breaks; unix:/path.
'lean-aggregator <command> --help' has examples and exit codes.
`;

const serve = `
A second SIGTERM ends it at once, whatever is being proved.

The file of --config is a JSON object with the flags' names in camel case:
  {"listen": ["unix:/run/lean-aggregator.sock"], "deadlineMs": 750}

--policy names a file that says who may do what: 'lean-aggregator policy --help'.
Without one, whoever reaches the service may do everything. That is this machine
alone, so with TLS for others a policy is needed.

A device is a name, or an object with "id" and, where the defaults will not do,
"cores" ("0-3"), "nice" (10), "threads" (one a core), "env", and "backend" (a
"library" behind native/include/lean_prover.h, and its "config"):
  {"devices": [{"id": "gpu0", "cores": "0-7", "env": {"CUDA_VISIBLE_DEVICES": "0"}},
               {"id": "gpu1", "cores": "8-15", "env": {"CUDA_VISIBLE_DEVICES": "1"}}]}

Examples:
  lean-aggregator serve
  lean-aggregator serve --listen unix:/run/lean-aggregator.sock --log-level warn
  lean-aggregator serve --listen 0.0.0.0:9190 --tls-certificate tls.crt \\
    --tls-key tls.key --tls-client-ca ca.crt --policy policy.json
  LEAN_AGGREGATOR_HTTP=127.0.0.1:80 lean-aggregator serve --config settings.json

TLS is 1.3. With --tls-client-ca a client needs a certificate of that authority.
Unix sockets, --admin and --probes stay plain. Changed files are read again
within 10 s, and used for new connections.

Exit codes: 0 drained after a signal, 1 failed, or ended by a second signal,
2 wrong flag or setting.
`;

const submit = `
FILE holds a SubmitSnapshotRequest as JSON, or binary when its name ends in
.bin; - reads JSON from standard input. A snapshot that names no node is
submitted as node "${NODE_DEFAULT}".

Examples:
  lean-aggregator submit snapshot.json
  lean-aggregator submit snapshot.json --deadline-ms 20000 --fence-ms 30000
  lean-aggregator submit snapshot.json --out outcomes.jsonl
  lean-aggregator submit - --json < snapshot.json | jq .outcome.status

Exit codes: 0 every group proved, 3 some were not, 4 the snapshot was skipped,
1 the service failed or cannot be reached, 2 wrong flag or FILE.
`;

const watch = `
Begins with what the service still retains. Resumes where it was when the
connection breaks; with --json every line carries the cursor after it.

Examples:
  lean-aggregator watch --node node-1
  lean-aggregator watch --node node-1 --json | jq -c .summary

Exit codes: 0 interrupted, 1 the service failed or cannot be reached,
2 wrong flag.
`;

const verify = `
FILE holds outcomes as JSON, as 'submit --json', 'submit --out', 'watch --json'
or GetSession give them; their participants select the keys of --keys, the
snapshot that was submitted. Or it holds a VerifyAggregateRequest, JSON or .bin,
which names its keys itself. - reads JSON from standard input. Valid means: the
proof verifies, and covers exactly these keys and this attestation data.

Examples:
  lean-aggregator submit snapshot.json --out outcomes.jsonl
  lean-aggregator verify outcomes.jsonl --keys snapshot.json
  lean-aggregator verify request.json

Exit codes: 0 every proof valid, 3 some are not, 1 the service failed or cannot
be reached, 2 wrong flag or FILE, or no proof in it.
`;

const info = `
Examples:
  lean-aggregator info
  lean-aggregator info --server https://fleet.example:9190 --tls-ca ca.crt \\
    --tls-certificate node.crt --tls-key node.key
  lean-aggregator info --json | jq .devices

Exit codes: 0 answered, 1 the service failed or cannot be reached, 2 wrong flag.
`;

const health = `
Prints SERVING or NOT_SERVING. A service that is draining, or has no prover set
up yet, is not serving, and no worse for it: restart what --live says is dead.

Examples:
  lean-aggregator health
  lean-aggregator health --live --server unix:/run/lean-aggregator/grpc.sock

Exit codes: 0 healthy, 1 not serving, or cannot be reached, 2 wrong flag.
`;

const doctor = `
Checks what 'serve' would need with the same settings. WARN makes it slower or
narrower, FAIL keeps it from proving.

Examples:
  lean-aggregator doctor
  lean-aggregator doctor --config settings.json

Exit codes: 0 nothing fails, 1 something does, 2 wrong flag or setting.
`;

const completion = `
Examples:
  source <(lean-aggregator completion bash)
  lean-aggregator completion zsh > ~/.zfunc/_lean_aggregator
  lean-aggregator completion fish \\
    > ~/.config/fish/completions/lean-aggregator.fish
`;

export const helpTexts = {
  program,
  serve,
  submit,
  watch,
  verify,
  info,
  health,
  doctor,
  completion,
} as const;
