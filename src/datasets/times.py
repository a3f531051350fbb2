"""Range of event times in raw files; times outside it are in another unit."""

OLDEST = 10**11  # ms: 1973; smaller times are seconds
NEWEST = (2**31 - 1) * 1000 + 999  # ms: the last second that fits Int32
