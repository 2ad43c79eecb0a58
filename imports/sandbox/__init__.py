"""A small Marketing Cloud on loopback, for tests, the demo and trying mcdash out.

It answers as the vendor does and misbehaves when it is told to (`control.py`). It is
the other side of the HTTP connection: it imports nothing else of mcdash, so that a
mistake in our client can't be repeated here and go unnoticed.
"""
