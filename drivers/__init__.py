"""The only code that touches wires. Trouble is a value with a reason."""
