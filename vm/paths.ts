import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root: the nearest directory upwards that has a package.json, so for sources and compiled code alike. */
export const project: string = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

/** What can be fetched or made again: kernels, roots, logs. */
export const cache: string = join(project, '.cache/vm');
