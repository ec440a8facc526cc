"""HTTP: the contract's words and nothing of the work. The one owner of falcon, with `daemon.app`.

exchange       what every answer has: request id, log line, metrics; who may ask what
intake         a body of any of the three types -> a VerificationRequest; `percent` undoes a form's encoding
multipart      the parts of a multipart body
verification   POST /identity/image_verification/stateless
health         GET /healthz /readyz /metrics /openapi.yaml /.well-known/jwks.json
condition      whether the device can serve, and why not
status         GET /status, the page for technicians: `about`, `figures`, `status_page`, `_markup`, `_plots`
credentials    which terminal is calling: `certificate` of TLS or token, known to the `registry`
rate_limit     how often it may
admission      how much is worked on, how much may wait
responses      the one table: error class -> code, message, HTTP status
"""
