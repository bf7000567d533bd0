"""What functions run on: bundles of code, and environments of locked dependencies."""
