"""Milliseconds: a day, and the range of times in raw files."""

from src.data.units import DAY

DAY_MS = DAY * 1000
OLDEST = 10**11  # 1973; a smaller number is taken for seconds
NEWEST = (2**31 - 1) * 1000 + 999  # end of the last second that fits Int32
