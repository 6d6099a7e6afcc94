"""
What others may ask a running daemon over HTTP: is it well, is it ready, its metrics, its status.

``health`` judges, ``metrics`` counts, ``observing`` feeds both, ``lookout`` looks at clock, loop
and database, ``application`` answers, ``listener`` binds.
"""
