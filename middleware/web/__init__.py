"""HTTP surfaces other than the SMART app: listener, callbacks, console."""
