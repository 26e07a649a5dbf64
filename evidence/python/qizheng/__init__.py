"""Independent verifier of Qizheng 契证 evidence, written from docs/SPEC.md alone.

It shares no code with the Rust verifier; both must agree on every vector (``make vectors``).
"""
