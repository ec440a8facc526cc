"""Engines on an accelerator: the one owner of onnxruntime.

    accelerators   the one table of accelerators, their options, and what makes an engine another one
    engine         what was built and published, checked before it counts
    network        one session, proven to be where it should be, and its runs
    golden         what a network must compute
    batching       whose turn it is, where several requests want one device

Promises that a loaded network is the file that was built, was built for this accelerator and this onnxruntime, runs on
the asked accelerator and reproduces its golden vectors. Building is left to `fvctl engines build`, never done here.

Not thread-bound: `InferenceSession.run` may be called from several threads at once.
"""

import os

# From its import on it would report models and machine to its makers. Source: onnxruntime 1.29, PosixTelemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
