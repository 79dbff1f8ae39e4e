"""``hayate doctor``: what stands in the way of fast runs here, each with its remedy.

A check looks at one thing and returns findings; it has a bound of time, and whatever it raises is a
finding as well. One module a family of checks. Those of the machine and of Python need nothing but
Python's standard library, so they also work where the installation is what is broken.
"""
