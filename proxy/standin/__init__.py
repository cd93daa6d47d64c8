"""The successor's API in memory, for the demo and the tests; `serve` never uses it.

It has one repository, ``acme/shop`` with ID 42, accepts any token, and refuses what is not in the published schema.
Withdrawn endpoints respond with 410, so that a proxy that only passes calls through is noticed.

``trigger-shim standin`` serves it alone.
"""
