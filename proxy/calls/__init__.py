"""Reads HTTP calls in source code, and writes new ones. Pure: nothing is sent, and no file is opened."""
