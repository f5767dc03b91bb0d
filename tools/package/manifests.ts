/** The package.json of each package that is published, made from that of the checkout. */
import { z } from "zod";

const versions = z.record(z.string(), z.string());

/** What is read of the checkout's package.json. */
const manifest = z.looseObject({
  version: z.string(),
  license: z.string(),
  type: z.string(),
  engines: versions,
  repository: z.looseObject({ type: z.string(), url: z.string() }),
  files: z.array(z.string()),
  dependencies: versions,
});

export type Manifest = z.infer<typeof manifest>;

export const CLIENT_NAME = "lean-aggregator-client";

/** Reads a package.json. Throws when a field is missing. */
export const parseManifest = (text: string): Manifest => manifest.parse(JSON.parse(text));

/** The service's: what a checkout needs to build and test is left out. */
export function serviceManifest(of: Manifest): Manifest {
  const left = ["devDependencies", "scripts"];
  const kept = Object.fromEntries(Object.entries(of).filter(([key]) => !left.includes(key)));
  return manifest.parse({ ...kept, files: [...of.files, "prebuilds", "CHANGELOG.md"] });
}

/** The client's, which has no native code. Throws when a package is no dependency of the checkout. */
export function clientManifest(of: Manifest, packages: readonly string[]): Manifest {
  const { version, license, type, engines, repository, dependencies: known } = of;
  const dependencies = Object.fromEntries(
    packages.map((name) => {
      const pinned = known[name];
      if (pinned === undefined) throw new Error(`${name} is imported, but no dependency`);
      return [name, pinned];
    }),
  );
  return {
    name: CLIENT_NAME,
    version,
    description: "Adapter of a lean consensus node to a lean-aggregator service",
    license,
    type,
    engines,
    repository,
    exports: {
      ".": "./dist/client/index.js",
      "./proto": "./dist/proto/gen/lean/aggregator/v1/aggregator_pb.js",
    },
    files: ["dist", "proto", "CHANGELOG.md", "PROTOCOL.md", "LICENSE-APACHE", "LICENSE-MIT"],
    dependencies,
  };
}
