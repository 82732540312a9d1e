"""PySOA on the wire, without I/O: frames, chunks, envelopes, names of queues."""
