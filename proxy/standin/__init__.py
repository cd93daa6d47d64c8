"""The successor's API in memory, for the demo and the tests; `serve` never uses it.

It knows the repository ``acme/shop``, whose ID is 42, takes any token, and refuses whatever the published schema does
not have. Withdrawn endpoints get 410, so that a proxy that only passes through is caught.

``python -m proxy.standin --listen 127.0.0.1:9000`` serves it alone.
"""
