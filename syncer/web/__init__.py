"""
What others may ask a running daemon over HTTP: is it well, is it ready, its metrics, its status.

``health`` judges, ``metrics`` counts, ``observing`` feeds both, ``lookout`` looks at clock, loop
and database, ``page`` draws what they know for people, ``application`` answers, ``listener`` binds.
"""
