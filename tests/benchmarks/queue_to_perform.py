"""From the commit of a queued run to its Perform in the sandbox's journal.

A worker process with nothing else to do, a sandbox process without latency; this
process queues as a page would. All clocks are this machine's.
"""

from __future__ import annotations


