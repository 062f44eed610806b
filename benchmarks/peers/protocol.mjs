// The line protocol of a peer: a number on stdin asks for that many rounds of each measure, a JSON line answers with
// the median of the wall-clock time and the mean of the CPU time of one round, in microseconds.
import {createInterface} from 'node:readline';
import {readFileSync} from 'node:fs';

export const material = JSON.parse(readFileSync(process.argv[2], 'utf8'));

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

async function timed(work, times) {
  const walls = [];
  const before = process.cpuUsage();
  for(let i = 0; i < times; i++) {
    const begun = process.hrtime.bigint();
    await work();
    walls.push(Number(process.hrtime.bigint() - begun) / 1000);
  }
  const {user, system} = process.cpuUsage(before);
  return {wall: median(walls), cpu: (user + system) / times};
}

// Each measure throws unless it succeeded, so a refusal is never taken for speed.
export async function serve(measures) {
  for(const work of Object.values(measures)) {
    await work();
  }
  console.log(JSON.stringify({ready: Object.keys(measures)}));
  for await (const line of createInterface({input: process.stdin})) {
    const answer = {};
    for(const [name, work] of Object.entries(measures)) {
      answer[name] = await timed(work, Number(line));
    }
    console.log(JSON.stringify(answer));
  }
}

export function require(holds, what) {
  if(!holds) {
    throw new Error(what);
  }
}
