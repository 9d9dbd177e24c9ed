/**
 * What the one file has in the place of node:module where the ELF reader asks for elfy: a single executable can
 * require nothing but Node's own modules, so the bundler must see the name and put the package inside.
 */
export function createRequire(): (name: 'elfy') => unknown {
  return () => require('elfy');
}
