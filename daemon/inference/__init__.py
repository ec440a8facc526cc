"""Engines on an accelerator: the one owner of onnxruntime.

    engine         what was built and published, checked before it counts
    network        a network that runs
    session        one session of onnxruntime, proven to be wholly where it should be
    golden         what a network must compute
    batching       whose turn it is, where several requests want one device
    accelerators   the one table of accelerators, their options, and what makes an engine another one
    tensorrt       what TensorRT is told
    platform       versions and GPU that an engine depends on

Promises that a loaded network is the file that was built, was built for this accelerator and this onnxruntime, runs on
the asked accelerator and reproduces its golden vectors. Building is left to `fvctl engines build`, never done here.

Not thread-bound: `InferenceSession.run` may be called from several threads at once.
"""

import os

# From its import on it would report models and machine to its makers. Source: onnxruntime 1.29, PosixTelemetry.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
