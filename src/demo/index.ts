import { Ground } from './ground.ts';
import type { Recipe } from './recipe.ts';
import { forwardRecipes, ipRecipes } from './recipes/ip.ts';

export const recipes: readonly Recipe[] = [...ipRecipes, ...forwardRecipes];
export { Ground };
