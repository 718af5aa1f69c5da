// Sends the form, or tries the sign-in in a frame.
const held = document.querySelector('template');
if (held) {
  held.before(held.content);
  const inner = document.querySelector('iframe');
  inner.onload = () => {
    const on = inner.contentDocument?.querySelector('[data-go]');
    inner.hidden = !inner.contentDocument;
    if (on) location.replace(on);
  };
} else document.forms[0].submit();
