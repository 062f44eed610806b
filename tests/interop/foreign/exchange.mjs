// Between a script and its test: the script asks for a page to be opened and says how it ended, one line each.
import { createInterface } from 'node:readline';

export const given = JSON.parse(process.argv[2]);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

export const openPage = async (url) => {
  console.log(JSON.stringify({ open: String(url) }));
  return new URL((await lines.next()).value);
};

export const finish = (outcome) => {
  console.log(JSON.stringify(outcome));
  process.exit(0);
};

// Calls the tool with the older SDK's client, whose requests `fetch` authenticates.
export const callTool = async (fetch) => {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const client = new Client({ name: 'foreign', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(new URL(given.resource), { fetch }));
  return outcomeOf(client);
};

export const outcomeOf = async (client) => {
  const { tools } = await client.listTools();
  const done = await client.callTool({ name: given.tool, arguments: given.arguments });
  return { tools: tools.map(({ name }) => name).sort(), isError: done.isError ?? false, text: done.content[0].text };
};
