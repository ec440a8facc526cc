"""What doctor asks of a device: one question per file; each answers with a finding and changes nothing.

    configuration    does the configuration say one thing, and all of it?
    platform         is this a machine that the release is for?
    release          does the release serve that has proven itself, and is no change of it unfinished?
    packages         are the installed packages those that are locked, and whole?
    devices          may the daemon use the accelerator's device nodes?
    engines          are the engines what was built for this device, and do they compute what they should?
    accelerator      are the engines for the accelerator that is configured?
    onnxruntime_wheel  can the installed onnxruntime use this device's GPU at all?
    calibration      do scores come from a calibration of these very networks?
    latency          are the networks as fast as when they were built?
    kek              is the key-encryption key the one that the key store is sealed with?
    key_store        can the key store be opened, and is it as it was written?
    key_log          does the log of key changes hold together?
    key_expiry       does any key stop opening soon?
    legacy_format    is the weak legacy format in use?
    published_key    is the key in use that the vendor's manual prints?
    terminals        are all terminals known by proofs that still hold?
    certificate      does the device show a certificate that terminals accept?
    clock            can the clock be right?
    disk_space       can keys, engines and the next release be written?
    memory           is there memory for the next photo?
    swap             can photos get from memory onto a disk?
    core_dumps       can photos get into a core dump?
    temperature      is the device too warm?
    power            may the device use the power that it has?
    hardening        do the installed units close what the release closes?
    socket           does systemd hold the addresses that the configuration names?
    unit             does systemd run the daemon?
    restarts         does the daemon keep running?
    port             is it the daemon that listens where the daemon should?
    daemon           does a daemon answer that says it is ready?
    tls              does the daemon show the certificate that is configured?
    log_errors       which faults did the daemon report within the last hour?

A check that needs what is broken elsewhere says that it cannot tell; what only root may see is unknown to others.
"""
