"""What all functions of the guest book say."""

STORY = ("Once", "upon", "a", "time")


def greeting(words, name):
    """The greeting of a guest."""
    return f"{words} {name}"
