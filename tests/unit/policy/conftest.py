"""Settings of the tests in this folder."""

from hypothesis import settings

settings.register_profile("steady", deadline=None)  # the machine may be busy: time is no property of the code
settings.load_profile("steady")
