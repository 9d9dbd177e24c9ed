/** The version of this program; a test keeps it the same as package.json's. */
export const version = '0.1.0';
