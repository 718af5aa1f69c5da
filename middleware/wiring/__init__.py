"""The composition root beside the command line: parts are made here and handed down."""
