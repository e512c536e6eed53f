// The page as a whole.
export function start() {}
