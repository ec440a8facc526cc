"""`fvctl selftest`: proves this device with known photos, known answers and one photo that must be refused.

    fvctl selftest              all of it, the running daemon included
    fvctl selftest --offline    what needs no daemon

The same steps are the daemon's own before it serves (daemon/self_test.py), and the gate that a new release must pass.
The photos are those in the engines' golden vectors. Where terminals are authenticated, the self-test is a terminal for
as long as it runs. Exit codes: 0 all well, 1 something needs doing, 2 something could not be tried.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import cv2

from daemon.api.intake import FIRST_PHOTO
from daemon.api.responses import SUCCESS_CODE
from daemon.app import make_detector, make_recogniser
from daemon.records import Pixels
from daemon.score.calibration import load_calibration
from daemon.sealed.keyring import KeyRing
from daemon.sealed.keys import OPENING_STATES
from daemon.sealed.known_answers import check_known_answers
from daemon.self_test import MATED_ABOVE, NON_MATED_BELOW, KnownScores, known_photos, known_scores, prove
from tools.asking import Answered, Daemon, sealed_form
from tools.checks.finding import Check, Device, Finding, to_mend, well
from tools.console import show_findings
from tools.doctor import answered, device_at, exit_code
from tools.explanation import NEXT
from tools.once import Once
from tools.sealing import Sealer, jwe_sealer
from tools.visitor import visiting

_WITHIN_S = 8.5
"""All steps run side by side; a technician has the whole answer within ten seconds."""

_TOLERANCE = 0.02
"""Between the daemon's score and the one that is computed here. Both run the same engines on the same pixels; on an
accelerator another batch may round otherwise. Source: a cosine that differs by 0.003, three times what FP16 may do."""

_INVALID_ARGUMENT, _TRY_LATER = 1200, (1002, 5003)
"""The contract's codes: what does not open, and what may be asked again."""

_TRIES = 3


@dataclass(frozen=True, slots=True)
class Visit:
    """What the daemon answered."""

    mated: Answered
    non_mated: Answered
    bad_tag: Answered


def _cryptography(_device: Device) -> Finding:
    names = check_known_answers()
    return well(f"{len(names)} known answers are right", names=list(names))


def _networks(device: Device) -> Finding:
    networks = device.networks()
    found = {network.manifest.name: network.accelerator.value for network in (networks.detection, networks.recognition)}
    return well("both networks load and reproduce their golden vectors", **found)


def _scores(device: Device) -> KnownScores:
    settings, networks = device.load().inference, device.networks()
    path = settings.networks / settings.recognition / "calibration.yaml"
    calibration = load_calibration(path, networks.detection.model_hash, networks.recognition.model_hash)
    scores = known_scores(make_detector(networks), make_recogniser(networks), calibration)
    return prove(scores, known_photos(networks.detection))


def _visit(device: Device) -> Visit:
    """Ask the running daemon, as a terminal.

    Raises:
        DeviceError: it does not answer, or the self-test is not let in.
    """
    photos = known_photos(device.networks().detection)
    first, mirrored, second = (_file(pixels) for pixels in (photos.first, photos.mirrored, photos.second))
    with visiting(device.load(), device.now) as daemon:
        seal = _sealer(device, daemon)
        spoiled = sealed_form(seal, (first, mirrored))
        spoiled[FIRST_PHOTO] = _with_another_tag(spoiled[FIRST_PHOTO])
        return Visit(
            _asked(daemon, lambda: sealed_form(seal, (first, mirrored))),
            _asked(daemon, lambda: sealed_form(seal, (first, second))),
            _asked(daemon, lambda: spoiled),
        )


def _file(pixels: Pixels) -> bytes:
    """A photo as a terminal has it: PNG, so that the daemon sees the very same pixels."""
    return cv2.imencode(".png", pixels.rgb[..., ::-1])[1].tobytes()


def _sealer(device: Device, daemon: Daemon) -> Sealer:
    if device.load().sealed.jwe:
        return jwe_sealer(daemon.jwks()[0])
    return KeyRing(device.opened_store().opened(OPENING_STATES), lambda: device.today).legacy().seal


def _with_another_tag(text: str) -> str:
    """The same sealed photo with another tag: its digits are the last in either format."""
    at = len(text) - 8
    return f"{text[:at]}{'B' if text[at] == 'A' else 'A'}{text[at + 1 :]}"


def _asked(daemon: Daemon, form: Callable[[], dict[str, str]]) -> Answered:
    for _ in range(_TRIES - 1):
        answer = daemon.ask(form())
        if answer.body["code"] not in _TRY_LATER:
            return answer
        time.sleep(1)  # others are served first
    return daemon.ask(form())


def _judged(answer: Answered, expected: float, right: Callable[[float], bool]) -> Finding:
    code = answer.body["code"]
    if code != SUCCESS_CODE:
        return to_mend(
            f"the daemon answers {code} ({answer.field or 'no field'}) to known photos",
            NEXT.get(code, "Look for the request_id in the journal: journalctl -u faceverifyd"),
            **answer.body,
        )
    score = float(answer.body["verification_score"])
    evidence = {"score": score, "expected": expected, "request_id": answer.body["request_id"]}
    if not right(score) or abs(score - expected) > _TOLERANCE:
        return to_mend(
            f"the daemon's score is {score:.4f}, the engines and the calibration on this disk give {expected:.4f}",
            "It serves with others than are on the disk: systemctl restart faceverifyd",
            **evidence,
        )
    return well(f"the daemon's score is {score:.4f}, as it should be", **evidence)


def _refused(answer: Answered) -> Finding:
    code = answer.body["code"]
    if code != _INVALID_ARGUMENT or answer.field != FIRST_PHOTO:
        return to_mend(
            f"a sealed photo with a wrong tag is answered {code}, not {_INVALID_ARGUMENT}",
            "Take the device out of service, systemctl stop faceverifyd.socket faceverifyd, and tell support.",
            **answer.body,
        )
    return well(f"a sealed photo with a wrong tag is refused with {code}", request_id=answer.body["request_id"])


def steps(device: Device, offline: bool) -> list[Check]:
    """What is tried; the daemon is visited once for all questions about it."""
    scores, visit = Once(lambda: _scores(device)), Once(lambda: _visit(device))

    def mated(_device: Device) -> Finding:
        """Of one person."""
        return _judged(visit().mated, scores().mated, lambda score: score > MATED_ABOVE)

    def non_mated(_device: Device) -> Finding:
        """Of two."""
        return _judged(visit().non_mated, scores().non_mated, lambda score: score < NON_MATED_BELOW)

    looks: dict[tuple[str, str], Callable[[Device], Finding]] = {
        ("cryptography", "Does this machine compute what the standards say?"): _cryptography,
        ("networks", "Do the engines compute what they were built to?"): _networks,
        ("known_photos", "Do known photos get the right scores?"): lambda _device: well(str(scores())),
    }
    if not offline:
        looks |= {
            ("daemon_mated", "Does the daemon know one person in two photos?"): mated,
            ("daemon_non_mated", "Does the daemon tell two people apart?"): non_mated,
            ("daemon_bad_tag", "Does the daemon refuse what was changed?"): lambda _: _refused(visit().bad_tag),
        }
    return [Check(name, question, look, _WITHIN_S) for (name, question), look in looks.items()]


def proven(config: Path, offline: bool) -> list[dict[str, object]]:
    """What came of every step, for whoever must know it; `exit_code` of tools/doctor.py sums it up.

    Args:
        config: the device's configuration file.
        offline: leave out the running daemon.
    """
    device = device_at(config, lambda: datetime.now(timezone.utc))
    return answered(steps(device, offline), device)


def run(args: argparse.Namespace) -> int:
    """Try, and show what came of it."""
    rows = proven(args.config, args.offline)
    show_findings(rows, args.json)
    return exit_code(rows)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-command's own arguments."""
    parser.add_argument("--offline", action="store_true", help="only what needs no running daemon")
