// Sends the form, or tries the sign-in in a frame of this page, which stays.
const held = document.querySelector('template');
if (held) {
  held.before(held.content);
  const inner = document.querySelector('iframe');
  inner.onload = () => {
    // Only a page of ours can be looked into; what a browser says of a refusal stays hidden.
    const page = inner.contentDocument;
    const on = page?.querySelector('a[data-go]');
    inner.hidden = !page?.querySelector('h1');
    if (on) location.replace(on);
  };
} else document.forms[0].submit();
