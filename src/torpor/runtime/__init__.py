"""What acts: the process tree, instances and pools; policy decides, this performs."""
