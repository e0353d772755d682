"""Settings of the whole suite."""

import os

from hypothesis import settings

# how long an example takes says more about the machine than about the code
settings.register_profile("fingerprint", deadline=None)
settings.load_profile("fingerprint")

# results hold the time at which they were made; with this one, the same input gives the same bytes
os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
