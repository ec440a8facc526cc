"""What an answer means, and what to do next: for technicians, and for who makes a terminal."""

from __future__ import annotations

from typing import Any

from daemon.api.intake import FIRST_PHOTO, SECOND_PHOTO
from daemon.api.responses import SUCCESS_CODE
from tools.asking import Answered
from tools.mapping import declared_fmr

RECOMMENDED_THRESHOLD = 0.7
"""Above this score the contract recommends to take both photos for one person."""

_TABLE_ENDS = 0.9
"""The contract's table of false match rates ends here."""

_NOT_OPENED = (
    "The photo does not open, and the device tells nobody why. Look at it: fvctl photo inspect FILE. Seal it to a key "
    "that the device publishes now (/.well-known/jwks.json), in a format that is on (sealed.jwe, sealed.legacy; for "
    "the legacy format also fvctl terminals list); where sealed.freshness is set, once only and by a right clock."
)

NEXT = {
    1200: "Correct the parameter that is named; the contract is at /openapi.yaml.",
    2003: "Send a photo of 8 to 5,000 pixels a side (section photo of the configuration).",
    2004: "Send a photo file of 1 byte to 5 MiB (section photo of the configuration).",
    2005: "Send a JPEG, BMP, PNG, GIF or TIFF file that other programs can open.",
    4000: "Take the photo anew: one face, from the front, evenly lit. Where photos may lie on a side: auto_rotate.",
    4004: "Take the photo anew with eyes, nose and mouth visible; or ask without check_quality.",
    2000: "Correct the address: nothing may stand behind HOST:PORT in --url.",
    1100: "Show what the device knows: --token, or --certificate and --key. See: fvctl terminals list",
    1002: "Wait as long as the device says, and ask less often. See: fvctl terminals change --requests-per-minute",
    5000: "Look for the request_id in the device's journal; the line says what to do.",
    5003: "Wait as long as the device says, and ask again. If it stays: /readyz has the reason.",
}
"""What to do after each code of the contract."""


def explain(answer: Answered) -> str:
    """One sentence: what the answer means."""
    if answer.body["code"] != SUCCESS_CODE:
        about = f" ({answer.field})" if answer.field else ""
        return f"not compared: {answer.body.get('message')}{about}"
    score = float(answer.body["verification_score"])
    if score > RECOMMENDED_THRESHOLD:
        odds = "about 1 in" if score <= _TABLE_ENDS else "fewer than 1 in"
        strangers = round(1 / declared_fmr(min(score, _TABLE_ENDS)))
        return f"the same person, by the recommended threshold; {odds} {strangers:,} strangers scores as high"
    return f"not the same person, by the recommended threshold of {RECOMMENDED_THRESHOLD}"


def what_next(answer: Answered) -> str | None:
    """What to do next; None where nothing needs doing."""
    code = answer.body["code"]
    if code == 1200 and answer.field in (FIRST_PHOTO, SECOND_PHOTO):
        return _NOT_OPENED
    if code == 1200 and answer.status == 411:
        return "Send Content-Length; a body in chunks is refused."
    return NEXT.get(code) if code != SUCCESS_CODE else None


def fields_of(answer: Answered) -> dict[str, Any]:
    """An answer with its explanation; what does not apply is left out."""
    fields = {
        **answer.body,
        "http_status": answer.status,
        "field": answer.field,
        "retry_after_s": answer.retry_after_s,
        "timing": answer.timing,
        "meaning": explain(answer),
        "next": what_next(answer),
    }
    return {name: value for name, value in fields.items() if value is not None}
