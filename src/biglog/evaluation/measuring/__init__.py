"""How tasks are measured: one module a kind, and a registry of what a task's file may name."""
