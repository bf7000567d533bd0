"""Pure decisions: state in, actions out. Nothing here waits, reads a clock or touches the world."""
