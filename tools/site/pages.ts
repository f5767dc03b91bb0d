/** The pages of the site: each is a document of the repository, at an address of its own. */

/** Name in the sidebar, and the document, from the root of the repository. */
export type Page = readonly [name: string, document: string];

export interface Section {
  name: string;
  /** The first part of the addresses of its pages; empty for the root. */
  folder: string;
  pages: readonly Page[];
}

export const SECTIONS: readonly Section[] = [
  {
    name: "Start",
    folder: "",
    pages: [
      ["What it is", "README.md"],
      ["Start", "docs/start.md"],
      ["Concepts", "docs/concepts.md"],
      ["Glossary", "docs/glossary.md"],
      ["A newcomer's log", "docs/newcomer.md"],
      ["Beside other systems", "docs/compare.md"],
    ],
  },
  {
    name: "Adopt it",
    folder: "adopt",
    pages: [
      ["The adapter, in an hour", "docs/adopt/adapter.md"],
      ["TypeScript", "docs/adopt/typescript.md"],
      ["Go: a client step by step", "docs/adopt/gean.md"],
      ["Go: the module", "clients/go/README.md"],
      ["Rust: a client step by step", "docs/adopt/rust.md"],
      ["Rust: the crate", "clients/rust/README.md"],
      ["C, C++, Zig", "docs/adopt/c.md"],
      ["Merges, a block's proof", "docs/adopt/merges.md"],
      ["Your CI without a prover", "docs/adopt/client-ci.md"],
      ["The adapter's protocol", "client/PROTOCOL.md"],
      ["Your own prover", "docs/adopt/own-prover.md"],
      ["A first hour with it", "docs/adopt/own-prover-log.md"],
    ],
  },
  {
    name: "Operate it",
    folder: "operate",
    pages: [
      ["Alone, beside a node", "docs/operate/alone.md"],
      ["A fleet", "docs/operate/fleet.md"],
      ["Under systemd", "docs/operate/systemd.md"],
      ["Access and certificates", "docs/operate/access.md"],
      ["How many lanes", "docs/operate/lanes.md"],
      ["Limits of the host", "docs/operate/host-limits.md"],
      ["The live page", "docs/operate/live-page.md"],
      ["Alerts", "docs/operate/alerts.md"],
      ["When something fails", "docs/operate/failures.md"],
      ["Upgrade, and back", "docs/operate/upgrade.md"],
      ["Audit record", "docs/operate/audit.md"],
      ["Traces", "docs/operate/traces.md"],
      ["Record and replay", "docs/operate/recording.md"],
      ["Security", "SECURITY.md"],
    ],
  },
  {
    name: "Reference",
    folder: "reference",
    pages: [
      ["Command line", "docs/reference/cli.md"],
      ["Configuration", "docs/operate/configuration.md"],
      ["Metrics", "docs/operate/metrics.md"],
      ["Errors and reasons", "docs/reference/errors.md"],
      ["The wire of nodes", "docs/reference/proto.md"],
      ["The wire of the operator", "docs/reference/operator-proto.md"],
    ],
  },
  {
    name: "Design",
    folder: "design",
    pages: [
      ["Architecture", "ARCHITECTURE.md"],
      ["Decisions", "docs/adr/README.md"],
      ["Figures", "docs/figures/README.md"],
      ["Figures: adapters", "docs/figures/adapters.md"],
      ["Figures: blocks", "docs/figures/blocks.md"],
      ["Figures: a fleet", "docs/figures/fleet.md"],
      ["Figures: trees", "docs/figures/trees.md"],
      ["The schedule, judged", "docs/schedule/report.md"],
      ["The devnet", "docs/devnet/README.md"],
      ["The devnet's report", "docs/devnet/all/report.md"],
      ["An earlier report, of all modes", "docs/devnet/report.md"],
    ],
  },
  {
    name: "Work on it",
    folder: "work",
    pages: [
      ["Contributing", "CONTRIBUTING.md"],
      ["Hacking", "docs/hacking.md"],
      ["Changes", "CHANGELOG.md"],
      ["Releasing", "docs/release.md"],
      ["Vectors", "test/vectors/README.md"],
      ["Tools", "tools/README.md"],
    ],
  },
];

/** Documents with a page that no sidebar names, because a page above lists them. */
const UNLISTED = /^(docs\/adr\/\d{4}-[a-z-]+|tools\/[a-z-]+\/README|test\/vectors\/MUTANTS)\.md$/;
/** Documents without a page: forms of the repository, and what is packed. */
const WITHOUT_PAGE = /^(\.github\/.*|tools\/package\/client-readme)\.md$/;

/** The address of a document's page, such as `operate/fleet.md`; undefined without a page. */
export function addressOf(document: string): string | undefined {
  if (document === "README.md") return "index.md";
  for (const { folder, pages } of SECTIONS) {
    if (!pages.some(([, of]) => of === document)) continue;
    return folder === "" ? baseName(document) : `${folder}/${baseName(document)}`;
  }
  return UNLISTED.test(document) ? unlistedAddress(document) : undefined;
}

/** Whether a document is one of those that need no page. */
export const needsNoPage = (document: string) => WITHOUT_PAGE.test(document);

/** The last part of an address: a README is named for its folder, which keeps names unique. */
function baseName(document: string): string {
  const parts = document.split("/");
  const [folder = "", name = ""] = parts.slice(-2);
  const isReadme = name === "README.md";
  return `${NAMES[document] ?? (isReadme ? folder : (parts.at(-1) ?? "").slice(0, -3))}.md`.toLowerCase();
}

/** Names that would be taken, or unclear beside others. */
const NAMES: Readonly<Record<string, string>> = {
  "docs/adr/README.md": "decisions",
  "docs/devnet/report.md": "devnet-report",
  "docs/devnet/all/report.md": "devnet-all-report",
  "docs/schedule/report.md": "schedule",
  "clients/go/README.md": "go-module",
  "clients/rust/README.md": "rust-crate",
};

function unlistedAddress(document: string): string {
  const [top = "", folder = ""] = document.split("/");
  if (top === "docs") return `design/${document.slice("docs/".length)}`;
  return top === "tools" ? `work/tools/${folder}.md` : "work/mutants.md";
}
