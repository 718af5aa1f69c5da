// Sends the form, or tries the sign-in in a frame of this page, which stays.
const held = document.querySelector('template');
if (held) {
  held.before(held.content);
  const inner = document.querySelector('iframe');
  inner.onload = () => {
    const on = inner.contentDocument?.querySelector('[data-go]');
    if (on) location.replace(on);
  };
} else document.querySelector('[data-go]').submit();
