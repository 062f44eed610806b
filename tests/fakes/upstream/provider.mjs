// An OpenID provider on loopback: the npm package `oidc-provider` with two people, a groups claim and one client.
// Its one argument is JSON: {"port", "client_id", "client_secret", "redirect_uris", "post_logout_redirect_uris"}.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import Provider, { interactionPolicy } from 'oidc-provider';

const given = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${given.port}`;

const people = {
  alice: { password: 'alice upstream', name: 'Alice Upstream', email: 'alice@upstream.example', groups: ['kitchen', 'managers'] },
  bob: { password: 'bob upstream', name: 'Bob Upstream', email: 'bob@upstream.example', groups: ['couriers'] },
};

const account = (id) => people[id] && {
  accountId: `upstream|${id}`,
  claims: () => ({
    sub: `upstream|${id}`, preferred_username: id, name: people[id].name, groups: people[id].groups,
    email: people[id].email, email_verified: true,
  }),
};

const signing = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), kid: 'upstream-1', use: 'sig' };

// The client is native to have loopback redirects; it is a company's own, so nobody is asked about it each time.
const policy = interactionPolicy.base();
policy.get('consent').checks.remove('native_client_prompt');

const provider = new Provider(issuer, {
  clients: [{
    client_id: given.client_id,
    client_secret: given.client_secret,
    redirect_uris: given.redirect_uris,
    post_logout_redirect_uris: given.post_logout_redirect_uris ?? [],
    application_type: 'native', // loopback redirects over http
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: given.token_endpoint_auth_method ?? 'client_secret_basic',
  }],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
  conformIdTokenClaims: false, // claims stand in the ID token itself, as most companies' providers do it
  jwks: { keys: [signing] },
  cookies: { keys: ['only for tests'] },
  pkce: { required: () => true },
  features: { devInteractions: { enabled: false } },
  interactions: { policy, url: (_context, interaction) => `/interaction/${interaction.uid}` },
  ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Session: 3600, Grant: 3600 },
  findAccount: (_context, id) => account(id.replace(/^upstream\|/, '')),
  // The person's company has agreed to the client; only a login is asked for.
  loadExistingGrant: async (context) => {
    const grant = new context.oidc.provider.Grant({
      clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId,
    });
    grant.addOIDCScope('openid profile email groups offline_access');
    await grant.save();
    return grant;
  },
});

const page = (said) => `<!doctype html><html lang="en"><title>Upstream sign-in</title><h1>Upstream sign-in</h1>
<p role="alert">${said}</p><form method="post"><label>Name <input id="username" name="username"></label>
<label>Password <input id="password" name="password" type="password"></label>
<button value="login">Sign in</button> <button name="abort" value="yes">Cancel</button></form></html>`;

const body = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return new URLSearchParams(Buffer.concat(parts).toString());
};

const answered = async (request, response) => {
  const sent = await body(request);
  if (sent.get('abort')) {
    const refused = { error: 'access_denied', error_description: 'the person cancelled' };
    return provider.interactionFinished(request, response, refused, { mergeWithLastSubmission: false });
  }
  const person = people[sent.get('username')];
  if (!person || person.password !== sent.get('password')) return show(response, 'Name or password is wrong.');
  const login = { accountId: `upstream|${sent.get('username')}` };
  return provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
};

const show = (response, said) => {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(page(said));
};

const serve = provider.callback();
createServer(async (request, response) => {
  try {
    if (!request.url.startsWith('/interaction/')) return serve(request, response);
    await provider.interactionDetails(request, response);
    return request.method === 'POST' ? await answered(request, response) : show(response, '');
  } catch (error) {
    response.writeHead(400, { 'content-type': 'text/plain' });
    return response.end(String(error));
  }
}).listen(given.port, '127.0.0.1', () => console.log(JSON.stringify({ issuer })));
