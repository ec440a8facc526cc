"""Packaged releases: made once, signed, and installed by a fleet of devices that trust nothing but the signatures.

manifest, platforms        what a release says of itself, and what it is for
closure, runtime_wheel     its wheels, chosen for the target without the target
parts_list, building       everything that belongs to it, to the byte the same each time
archive                    one file for all of it, and the way back
role_keys, repository      signatures: who signs what, and what is published
source                     what a device takes from a web server or a stick, verified
layout, state, rollout     where things are on a device, what it is at, whether it is its turn
environment, migrations    what an installation makes: an environment, a configuration
units, gate                the service, and whether a release proves itself in it
preparation, proving       what it needs beside: configuration, keys, engines; known answers from it
installation               the steps in their order, and back
for_makers, for_devices    `fvctl release` where releases are made, and on a device
bootstrap                  the Debian package for a box that has nothing yet
"""
