import { Ground } from './ground.ts';
import type { Recipe } from './recipe.ts';
import { forwardRecipes, ipRecipes } from './recipes/ip.ts';

import { ipv6Recipes } from './recipes/ipv6.ts';
import { socketRecipes } from './recipes/socket.ts';
import { tapRecipes } from './recipes/tap.ts';
import { tcpRecipes } from './recipes/tcp.ts';

export const recipes: readonly Recipe[] = [
  ...ipRecipes,
  ...forwardRecipes,
  ...tcpRecipes,
  ...socketRecipes,
  ...ipv6Recipes,
  ...tapRecipes,
];
export { Ground };
