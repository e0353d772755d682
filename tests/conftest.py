"""Settings of the whole suite."""

import os
import signal

from hypothesis import settings

# how long an example takes says more about the machine than about the code
settings.register_profile("fingerprint", deadline=None)
settings.load_profile("fingerprint")

# results hold the time at which they were made; with this one, the same input gives the same bytes
os.environ["SOURCE_DATE_EPOCH"] = "1700000000"

# a shell lets what it runs in the background ignore interrupts, and so would all that tests begin
signal.signal(signal.SIGINT, signal.default_int_handler)
