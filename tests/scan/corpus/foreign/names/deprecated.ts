/** @deprecated */
export function listUsersDeprecated() {}
export const isDeprecated = (node: Node) => node.deprecated;
