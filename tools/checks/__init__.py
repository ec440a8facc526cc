"""What doctor asks of a device: one question per file; each answers with a finding and changes nothing.

    configuration    does the configuration say one thing, and all of it?
    engines          are the engines what was built for this device, and do they compute what they should?
    accelerator      are the engines for the accelerator that is configured?
    onnxruntime_wheel  can the installed onnxruntime use this device's GPU at all?
    calibration      do scores come from a calibration of these very networks?
    key_store        can the key store be opened, and is it as it was written?
    key_log          does the log of key changes hold together?
    key_expiry       does any key stop opening soon?
    legacy_format    is the weak legacy format in use?
    published_key    is the key in use that the vendor's manual prints?
    terminals        are all terminals known by proofs that still hold?
    certificate      does the device show a certificate that terminals accept?
    clock            can the clock be right?
    disk_space       can keys, engines and the next release be written?
    port             is it the daemon that listens where the daemon should?
    daemon           does a daemon answer that says it is ready?

A check that needs what is broken elsewhere says that it cannot tell.
"""
