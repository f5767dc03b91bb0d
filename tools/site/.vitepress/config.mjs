export { siteConfig as default } from "../../../dist/tools/site/site-config.js";
