/** As `submit`, where every group of more than one raw signature is a tree of jobs. */
import { submitTarget } from "./submit.js";

export const target = submitTarget("submit-trees", 1);
