"""What to ask next: walks, cuts and choices. Pure: no waiting, no clock, no logging."""
