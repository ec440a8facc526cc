"""HTTP: the contract's words and nothing of the work. The one owner of falcon, with `daemon.app`.

exchange       what every answer has: request id, log line, metrics; who may ask what
intake         a body of any of the three types -> a VerificationRequest
verification   POST /identity/image_verification/stateless
health         GET /healthz /readyz /metrics /openapi.yaml
credentials    which terminal is calling, and how often it may
admission      how much is worked on, how much may wait
responses      the one table: error class -> code, message, HTTP status
"""
