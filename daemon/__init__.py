"""faceverifyd: two sealed photos in, a calibrated verification score out.

"The contract" is what a terminal sees: `api/openapi.yaml` and `sealed/FORMAT.md`, and the table of thresholds in
README.md.

The map, from the socket down. A module imports downward only; of its own line only where pyproject.toml says so.

    wsgi  gunicorn_conf      what gunicorn loads
    app                      builds every object, lists every route
    api/                     HTTP: reads the form, answers in the contract's words
    pipeline                 the eight numbered steps of one request
    self_test                known photos must get known scores before the first request
    sealed/                  1 open      sealed photo text -> photo bytes
    photo/                   2 decode    photo bytes -> RGB pixels, each in a process that can be lost
    face/                    3 detect, 4 align, 5 embed, 6 quality
    score/                   7 compare, 8 calibrate
    inference  audit  tls    engines on an accelerator; logs, metrics, step times; how connections are protected
    pulse  notify            whether there is progress; what the service manager is told
    connections  expectation  pool  memory
                             a worker that no sender can hold; a body is asked for when it is read; its threads,
                             and what it keeps of memory
    config  manifest  records  watched  private
                             what a site says, what a network says, what stages hand over,
                             what is made again when its files changed, what its owner alone may read
    recent  machine          the last hour's answers; how warm the machine is, what memory the service takes
    yaml_file  addresses     YAML files as checked records; where the daemon listens
    errors                   everything that can go wrong, as a tree
"""

__version__ = "0.2.0"
