"""Two other ways to call a service, measured beside PySOA: a micro service over NATS, and gRPC.

They run in an environment of their own, so this package imports no PySOA. Both do a service's work: the body of each
request and of each response is a dict that msgpack writes and reads, one map on the wire each way.
"""
