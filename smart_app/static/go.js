// Sends the one form of this page at once; without scripts its button does.
document.querySelector('form[data-go]').submit();
