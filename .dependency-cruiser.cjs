/**
 * The rooms and the directions between them (docs/adr/0014-the-rooms.md). Types count as imports:
 * a circle of types is a circle.
 */
const GROUND = [
  "activity\\.ts",
  "errors\\.ts",
  "limits\\.ts",
  "clock\\.ts",
  "memory-budget\\.ts",
  "audit/",
  "bytes\\.ts",
  "printable\\.ts",
  "reasons\\.ts",
  "low-discrepancy\\.ts",
  "config/config-error\\.ts",
  "files/",
  "json/",
  "log/",
  "metrics/",
  "recording/",
  "traces/",
];

/** A room may be imported by those above it in this list, never by those below. */
const FLOORS = ["rpc", "admission", "schedule", "session", "lane", "prover"];

const upward = FLOORS.slice(1).map((room, at) => ({
  name: `${room}-imports-nothing-above`,
  comment: "Data goes down by calls and comes back by values and messages.",
  severity: "error",
  from: { path: `^server/${room}/` },
  to: {
    path: `^server/(${FLOORS.slice(0, at + 1).join("|")})/|^server/service\\.ts|^server/config/config\\.ts`,
  },
}));

module.exports = {
  forbidden: [
    {
      name: "no-circle",
      severity: "error",
      comment: "Move what both need to the lower of the two, or to the ground.",
      from: {},
      to: { circular: true },
    },
    ...upward,
    {
      name: "schedule-and-lane-talk-in-messages",
      comment:
        "A lane may be on another machine: the schedule knows its messages, nothing else of it.",
      severity: "error",
      from: { path: "^server/schedule/" },
      to: { path: "^server/(lane|prover)/", pathNot: "^server/lane/lane-messages\\.ts" },
    },
    {
      name: "session-and-lane-are-apart",
      severity: "error",
      from: { path: "^server/session/" },
      to: { path: "^server/(lane|prover|net|access)/" },
    },
    {
      name: "net-knows-no-rpc",
      severity: "error",
      comment: "Sockets to connections: rpc/ is its only caller, service.ts composes.",
      from: { path: "^server/net/" },
      to: {
        path: "^server/",
        pathNot: `^server/(net/|${GROUND.join("|")})`,
      },
    },
    {
      name: "only-rpc-calls-net",
      severity: "error",
      from: { path: "^server/(admission|schedule|session|lane|prover|work|access)/" },
      to: { path: "^server/(net|rpc)/" },
    },
    {
      name: "ground-stands-on-ground",
      severity: "error",
      from: { path: `^server/(work/|${GROUND.join("|")})` },
      to: { path: "^server/(rpc|net|admission|schedule|session|lane|prover|access)/" },
    },
    {
      name: "engine-stands-on-ground",
      severity: "error",
      comment: "It carries bytes and knows nothing of what they mean.",
      from: { path: "^server/engine/" },
      to: { path: "^server/", pathNot: `^server/(engine/|${GROUND.join("|")})` },
    },
    {
      name: "fleet-knows-lanes-and-the-engine",
      severity: "error",
      from: { path: "^server/fleet/" },
      to: {
        path: "^server/",
        pathNot: `^server/((fleet|engine|lane|work)/|prover/prover\\.ts|${GROUND.join("|")})`,
      },
    },
    {
      name: "only-the-service-composes-the-fleet",
      severity: "error",
      comment: "The embedded service is one process without an engine.",
      from: {
        path: "^server/",
        pathNot: "^server/((service|host)\\.ts|config/|fleet/|engine/)",
      },
      to: { path: "^server/(fleet|engine)/" },
    },
    {
      name: "only-one-file-knows-nats",
      severity: "error",
      from: {
        path: "^(cli|client|server|native|proto)/",
        pathNot: "^server/engine/nats-[^/]*\\.ts",
      },
      to: { path: "node_modules/@nats-io/" },
    },
    {
      name: "client-sees-the-proto-alone",
      severity: "error",
      comment: "A node links it without the service.",
      from: { path: "^client/" },
      to: { path: "^(server|cli|native|tools|test)/" },
    },
    {
      name: "server-imports-no-client",
      severity: "error",
      from: { path: "^(server|native|proto)/" },
      to: { path: "^(client|cli|tools|test)/" },
    },
    {
      name: "cli-imports-no-tool",
      severity: "error",
      from: { path: "^cli/" },
      to: { path: "^(tools|test)/" },
    },
    {
      name: "the-page-stands-alone",
      severity: "error",
      comment: "The browser loads its modules as they are; the model knows no browser.",
      from: { path: "^page/" },
      to: { pathNot: "^page/" },
    },
    {
      name: "the-model-knows-no-browser",
      severity: "error",
      from: { path: "^(page/model|cli|tools|server|client)/" },
      to: { path: "^page/view/" },
    },
    {
      name: "tools-import-no-test",
      severity: "error",
      from: { path: "^tools/" },
      to: { path: "^test/" },
    },
    {
      name: "production-imports-no-tool",
      severity: "error",
      from: { path: "^(cli|client|server|native|proto)/" },
      to: { dependencyTypes: ["npm-dev"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    exclude: { path: "^(dist|build|out)/" },
    enhancedResolveOptions: { extensions: [".ts", ".js", ".mjs"] },
  },
};
