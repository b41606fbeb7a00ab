/** The table of Kafka topics to which announcements go: a line each, naming the file that holds it. */

export { blocks } from './block.js';
export { subtrees } from './subtree.js';
