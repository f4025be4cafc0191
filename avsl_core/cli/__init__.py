"""The command line: one module per command, one parser over them."""
