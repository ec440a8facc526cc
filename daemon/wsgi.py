"""What gunicorn serves: `daemon.wsgi:application()`."""

from __future__ import annotations

import os
import warnings

from daemon.app import Daemon, create_app
from daemon.audit import Journal
from daemon.config import config_path, load_config
from daemon.errors import DeviceError

_LOAD_REFUSED = 4
"""Exit status on which gunicorn's master stops instead of starting the worker again. Source: gunicorn's arbiter,
`APP_LOAD_ERROR`."""


def application() -> Daemon:
    """The application for the configuration that the environment names.

    Raises:
        SystemExit: the device must not serve as it is; the journal says why and what to do.
    """
    warnings.simplefilter("ignore")  # decoders warn of what they read in photos; none of it belongs in the journal
    journal = Journal()
    try:
        return create_app(load_config(config_path(os.environ)), journal)
    except DeviceError as error:
        journal.start_refused(error)
        raise SystemExit(_LOAD_REFUSED) from None
