// Passkeys: ask the browser for one, and send what it answers as an ordinary form.  Without script nothing is lost but
// the passkey itself.
'use strict';

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (char) => char.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

const parts = ['clientDataJSON', 'attestationObject', 'authenticatorData', 'signature', 'userHandle'];

const asked = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
  ...(options.excludeCredentials && {
    excludeCredentials: options.excludeCredentials.map((known) => ({ ...known, id: bytes(known.id) })),
  }),
});

const answered = (credential) => JSON.stringify({
  id: credential.id,
  rawId: text(credential.rawId),
  type: credential.type,
  response: Object.fromEntries(
    parts.filter((part) => credential.response[part]).map((part) => [part, text(credential.response[part])]),
  ),
});

for (const form of document.querySelectorAll('form[data-passkey]')) {
  if (!window.PublicKeyCredential) break;
  form.hidden = false;
  const field = form.querySelector('input[data-answer]');
  const failed = form.querySelector('[role=status]');
  form.addEventListener('submit', async (event) => {
    if (field.value) return;
    event.preventDefault();
    failed.textContent = '';
    try {
      const publicKey = asked(JSON.parse(form.dataset.options));
      field.value = answered(await navigator.credentials[form.dataset.passkey]({ publicKey }));
    } catch {
      failed.textContent = form.dataset.failed;
      return;
    }
    form.submit();
  });
}
