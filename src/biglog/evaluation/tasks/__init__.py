"""What models are measured on: one small YAML file of metadata a task, and what reads them."""
