/**
 * What is used of node:http, without import: an import reads every export, and behind one of them Node
 * loads its whole browser-like client, which costs every command tens of milliseconds. Floor 0.
 */
const http: typeof import('node:http') = process.getBuiltinModule('node:http');

export const { Agent, createServer, get, request } = http;
