// The studio's addresses (msmdcli/studio/app.py). An error is a sentence, and what to do.

export class Sentence extends Error {
  constructor(error, hint) {
    super(hint ? `${error} (${hint})` : error);
  }
}

async function answered(asking) {
  let answer;
  try {
    answer = await asking;
  } catch {
    throw new Sentence("the studio does not answer", "it has ended: start `msmd studio` again");
  }
  if (answer.ok) return answer;
  let said = {};
  try {
    said = await answer.json();
  } catch {
    said = { error: `the studio answered ${answer.status}` };
  }
  if (said.details) console.warn(said.details);
  throw new Sentence(said.error, said.hint);
}

export const counted = { requests: 0 }; // for tests: what opening the page costs

export async function get(what) {
  counted.requests += 1;
  return (await answered(fetch(`api/${what}`))).json();
}

export async function bytes(what) {
  counted.requests += 1;
  return (await answered(fetch(`api/${what}`))).arrayBuffer();
}

// Whether something is there to be had; an error says why not.
export async function available(what) {
  const answer = await answered(fetch(`api/${what}`));
  await answer.body?.cancel();
  return true;
}

export async function post(what, body) {
  counted.requests += 1;
  const how = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return (await answered(fetch(`api/${what}`, how))).json();
}

export function decoded(text) {
  const raw = atob(text);
  const made = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) made[i] = raw.charCodeAt(i);
  return made;
}

export function motionOf(curves) {
  if (!curves) return null;
  const values = new Float32Array(decoded(curves.values).buffer);
  const column = new Map(curves.channels.map((name, number) => [name, number]));
  return { ...curves, values, column, width: curves.channels.length };
}
