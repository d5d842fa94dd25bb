"""`make bench`: our time over a baseline's in the same run, so that a busy machine troubles both alike."""
