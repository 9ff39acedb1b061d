"""Studies: what a choice is worth, each one command that writes a result and draws its picture."""
