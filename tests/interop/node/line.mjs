// One request a line in, one answer a line out: `{op, ...}` in, `{value}` or `{error}` out.
import {createInterface} from 'node:readline';
import {readFileSync} from 'node:fs';

// What stands for the network: contexts by address.  Nothing else is ever loaded.
export const world = JSON.parse(readFileSync(process.argv[2], 'utf8'));

export async function answer(operations) {
  for await (const line of createInterface({input: process.stdin})) {
    const {op, ...request} = JSON.parse(line);
    let reply;
    try {
      reply = {value: await operations[op](request)};
    } catch(error) {
      reply = {error: String(error?.message ?? error)};
    }
    console.log(JSON.stringify(reply));
  }
}
