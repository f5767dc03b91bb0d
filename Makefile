# Every target installs what is missing first. Needs Node 20.19 or newer, Python 3.11 or newer with its
# shared library, and a C++ compiler.
.PHONY: setup build test test-all check sim fuzz bench load crowd abuse demo devnet devnet-all devnet-smoke serve doctor
.PHONY: devnet-blocks
.PHONY: sbom clean interop clients bench-short mutate

# The image of the service has no tools, and so no nats-server either.
setup: node_modules/.package-lock.json build/lean_pq.json
	@node native/build.mjs
	@[ ! -d tools/fleet ] || node tools/fleet/setup-nats.mjs

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --include=dev --no-global --ignore-scripts --no-audit --no-fund
	@touch $@

build/lean_pq.json: native/setup.mjs native/requirements.txt
	node native/setup.mjs
	@touch $@

# The second prover, py-lean-multisig in a Python of its own: half a minute. Nothing else needs it.
.PHONY: setup-multisig
setup-multisig: setup
	node native/setup.mjs --with lean_multisig
	@node native/build.mjs

# REVISION: the commit for the service's build_info, where the source is no git checkout.
REVISION ?= $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null)
build: setup
	@echo "TypeScript: compiling to dist/, half a minute"
	@npm run --silent build
	@echo "$(REVISION)" > dist/cli/revision.txt

# The loop while you work: types, form, rooms, words, unit tests, and those of rpc but the slowest; 3 min.
check: build
	npm run --silent lint
	npx vitest run --fileParallelism --maxWorkers=2 --exclude "test/rpc/cli/**" \
	  --exclude test/rpc/limits/load.test.ts test/unit test/rpc

# With the real prover, 23 min on two idle cores. Which suites are left out: vitest.config.ts.
test: build
	LONG=0 npx vitest run

# Every suite, a short devnet and a short bench; 40 min on two idle cores.
test-all: build
	LONG=1 npx vitest run
	$(MAKE) clients
	$(MAKE) two-versions
	$(MAKE) devnet-smoke
	$(MAKE) bench-short

# Suites that others wrote, and clients that others wrote, against a served process.
interop: build
	npx vitest run test/interop

# The adapters in Go and Rust: vet, clippy, form and tests. One without its toolchain is skipped, and says so.
clients: build
	@tools/suites/other-languages.sh

# The adapter of the wire's tag against the newest service, and the reverse.
.PHONY: two-versions
two-versions: build
	@tools/two-versions/two-versions.sh

# A few samples of each figure, as ratios: what changed by half shows.
bench-short: build
	@ONLY=ack,tick,overhead PAIRS=3 ACKS=60 TICKS=200 node dist/tools/bench/bench.js

# SEED=n replays one simulated schedule event by event.
sim: build
	@node dist/tools/sim/replay.js

# A simulated fleet: SEED=n event by event, and SCENARIO=name one that tools/sim/README.md names.
.PHONY: sim-fleet
sim-fleet: build
	@node dist/tools/sim/fleet/replay.js

# TIME=s a target, TARGET=name for one; INPUT=file runs one input again; SEED=n the same inputs.
fuzz: build
	@node dist/tools/fuzz/fuzz.js

# The schedule judged on seeded virtual time, into docs/schedule; 2 min. ARGS=--strict fails when a
# goal is missed, ARGS="--scenarios 1 --out out/schedule" is quick, --seed n draws other worlds.
.PHONY: sim-report
sim-report: build
	@node dist/tools/sim-report/sim-report.js $(ARGS)

# Votes and bodies on shared provers, on seeded virtual time: prints docs/figures/blocks.md; 1 min.
.PHONY: sim-blocks
sim-blocks: build
	@node dist/tools/sim-report/blocks/blocks.js

# Large groups as trees of jobs on 1 to 16 devices, simulated: prints docs/figures/trees.md; 1 min.
.PHONY: sim-trees
sim-trees: build
	@node dist/tools/sim-report/trees/trees.js

# Every metric with its meaning, and the alerts and panels that use it, into docs/operate/metrics.md.
.PHONY: metrics-doc
metrics-doc: build
	@node dist/tools/metrics/write-metrics-doc.js

# Every setting of serve and prove, with what it takes, into docs/operate/configuration.md.
.PHONY: config-doc
config-doc: build
	@node dist/tools/config/write-config-doc.js

# The pages of docs/reference, from the command line, the proto files, and the codes and reasons.
.PHONY: reference
reference: build
	@node dist/tools/reference/write-reference.js

# The documentation site, from the documents as they stand, into out/docs.
.PHONY: docs docs-serve
docs: build
	@npx vitepress build tools/site

docs-serve: docs
	@npx vitepress preview tools/site --host 127.0.0.1 --port 4173

# The changes of the adapter's machine that its vectors do not find: test/vectors/MUTANTS.md. 10 min.
# ARGS="--mutate client/machine/tries.ts" for one file.
mutate: setup
	npx stryker run $(ARGS)

# The same of the Rust adapter's machine, by cargo-mutants; 40 min. ARGS="--shard 1/8" for a part.
.PHONY: mutate-rust
mutate-rust:
	@tools/suites/mutate-rust.sh $(ARGS)

demo: build
	@node dist/cli/main.js demo $(ARGS)

bench: build
	@node dist/tools/bench/bench.js $(ARGS)

# What the service adds to merges of 2 to 8 messages; 40 min. PAIRS=2 for a short one.
.PHONY: bench-merge
bench-merge: build
	@ONLY=merge PAIRS=$${PAIRS:-20} node dist/tools/bench/bench.js $(ARGS)

# What a door's schedule costs with up to 256 nodes and lanes; 1 min. ARGS="64 256" for some sizes.
.PHONY: bench-schedule
bench-schedule: build
	@node dist/tools/bench/schedule/schedule.js $(ARGS)

# Two doors, four lane hosts and three nats-servers on this machine, whose parts you kill; ARGS=--help.
.PHONY: fleet drill bench-fleet
fleet: build
	@node dist/tools/fleet/fleet.js $(ARGS)

# What an operator fears, done to a fleet: votes lost, and slots until all is well; 7 min.
drill: build
	@node dist/tools/fleet/drill.js $(ARGS)

# What a lane over the engine adds, what a session notices of a fault, proofs a second by lanes; 15 min.
bench-fleet: build
	@node dist/tools/bench/fleet/bench-fleet.js $(ARGS)

# Many nodes at a simulated prover: what is answered, told and held. About 5 min; ARGS=--help.
load: build
	@node dist/tools/bench/load/load.js $(ARGS)

# Many nodes at the real prover: who is proved when, and what identical work costs. About 2 min.
crowd: build
	@node dist/tools/bench/crowd/crowd.js $(ARGS)

# What the adapters in TypeScript, Go and Rust cost a tick, and two services of which one is killed or
# frozen; 12 min, most of them waiting. COUNT=200 is quick, ONLY=typescript,go picks.
.PHONY: adapters
adapters: build
	@node dist/tools/bench/adapters/adapters.js

# Of groups that are accepted, how many are proved in time; over 2 h. ARGS="--groups 200 --minutes 5".
.PHONY: accepted
accepted: build
	@node dist/tools/bench/accepted/accepted.js $(ARGS)

# Attacks on both listeners, and how another client fares meanwhile: a table; fails over twice.
abuse: build
	ABUSE_TIMES=1 npx vitest run test/abuse

# Four nodes in real time: SLOTS=200 in each of MODES=inline,worker,remote,sidecar; 1 h 25 min.
devnet: build
	@COMMAND="make devnet" REPORT=docs/devnet node dist/tools/devnet/run/devnet.js

# The whole matrix, unattended, about 3 h 30 min; run again, it goes on where it was stopped. MINUTES=50
# begins no run that would take longer: call it until no run is left. The report is on all runs of both calls.
devnet-all: build
	@[ -z "$(MINUTES)" ] || export UNTIL=$$(( $$(date +%s) + 60 * $(MINUTES) )); \
	RESUME=1 COMMAND="make devnet-all" OUT=out/devnet-all REPORT=docs/devnet/all \
	  MODES=worker,sidecar SEED=1,2 INTERVALS=5,4 node dist/tools/devnet/run/devnet.js; \
	first=$$?; [ $$first -lt 128 ] || exit $$first; \
	RESUME=1 COMMAND="make devnet-all" OUT=out/devnet-all REPORT=docs/devnet/all SLOTS=100 \
	  SCENARIO=tools/devnet/scenarios/proposes.json MODES=inline,worker,sidecar \
	  node dist/tools/devnet/run/devnet.js && exit $$first

# The short form, for CI: one validator a node, a few slots of two modes.
devnet-smoke: build
	@COMMAND="make devnet-smoke" VALIDATORS=4 SLOT_MS=4000 LOOKAHEAD=1 MODES=remote:12,inline:5 \
	  SCENARIO=tools/devnet/scenarios/smoke.json OUT=out/devnet-smoke node dist/tools/devnet/run/devnet.js

# Blocks with one proof of their body, merged ahead of their slot; 14 min, less with SLOTS or MODES. With the
# spec's block proofs beside them: SCENARIO=tools/devnet/scenarios/block-proofs.json
devnet-blocks: build
	@COMMAND="make devnet-blocks" VALIDATORS="$${VALIDATORS:-4}" SLOT_MS=12000 \
	  SLOTS="$${SLOTS:-20}" MODES="$${MODES:-inline,worker,sidecar}" \
	  SCENARIO="$${SCENARIO:-tools/devnet/scenarios/blocks.json}" OUT="$${OUT:-out/devnet-blocks}" \
	  node dist/tools/devnet/run/devnet.js

serve: build
	node dist/cli/main.js serve

doctor: build
	node dist/cli/main.js doctor

# The packages of service and client, as they would be published, into out/packages.
.PHONY: packages release-dry-run
packages: build
	@node dist/tools/package/pack.js

# All that a release does but publishing: packages of npm, crate, module and chart; 1 min.
release-dry-run: packages
	@tools/package/release-dry-run.sh

# Judges the files of release-dry-run: checksums, packages, bills of materials. ARGS=--strict: all processors.
.PHONY: release-verify
release-verify: build
	@node dist/tools/package/verify-release.js $(ARGS)

# What is shipped, as CycloneDX: npm packages, the prover's wheel and its crates, the native parts.
sbom: build
	@mkdir -p out
	@node dist/tools/supply/write-sbom.js > out/sbom.json
	@echo out/sbom.json

clean:
	rm -rf dist build out .prover-venv .multisig-venv node_modules
