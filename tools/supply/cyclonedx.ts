/** The part of CycloneDX 1.5 that this project reads and writes. */
import { z } from "zod";

// What is not named here is left out: properties and references name folders and hosts.
const component = z.object({
  "bom-ref": z.string(),
  type: z.string(),
  name: z.string(),
  version: z.string(),
  scope: z.string().optional(),
  description: z.string().optional(),
  purl: z.string().optional(),
  hashes: z.array(z.object({ alg: z.string(), content: z.string() })).optional(),
  licenses: z
    .array(
      z.object({
        expression: z.string().optional(),
        license: z.object({ id: z.string() }).optional(),
      }),
    )
    .optional(),
});
const dependency = z.object({ ref: z.string(), dependsOn: z.array(z.string()).default([]) });

export type Component = z.infer<typeof component> & { components?: Component[] };
export type Dependency = z.infer<typeof dependency>;

/** What npm's and the wheel's own have that is of use. */
export const bom = z.object({
  metadata: z.object({ component }),
  components: z.array(component),
  dependencies: z.array(dependency),
});
export type Bom = z.infer<typeof bom>;
