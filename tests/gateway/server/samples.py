"""Requests as bytes."""

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n"
