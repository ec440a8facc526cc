"""Which release serves, which can be gone back to, and was a change of it left unfinished?"""

from __future__ import annotations

from tools.checks.finding import Check, Device, Finding, no_matter, to_mend, well
from tools.releases.layout import Layout
from tools.releases.state import NEW_DEVICE, Ledger


def _look(device: Device) -> Finding:
    layout = Layout(device.root)
    state, serves = Ledger(layout.state).state, layout.serving()
    if state == NEW_DEVICE:
        return no_matter("nothing was installed here by fvctl release")
    evidence: dict[str, object] = {
        "serves": serves,
        "previous": state.previous,
        "floor": state.floor,
        "failed": list(state.failed),
    }
    evidence["held"] = layout.hold.exists()
    if state.operation is not None:
        doing = state.operation
        return to_mend(
            f"{doing.kind} of release {doing.version} is under way, or was interrupted, at the step {doing.step.value}",
            "fvctl release resume",
            **evidence,
        )
    if state.current is None:
        return to_mend("no release has proven itself on this device yet", "fvctl release install", **evidence)
    if serves != state.current:
        return to_mend(
            f"{layout.current} leads to {serves}, but the release that has proven itself is {state.current}",
            f"ln -sfnT {layout.release(state.current)} {layout.current} && systemctl restart faceverifyd",
            **evidence,
        )
    back = f", {state.previous} can be gone back to" if state.previous else ""
    return well(f"release {serves} serves and has proven itself{back}; nothing older than {state.floor}", **evidence)


CHECK = Check("release", "Does the release serve that has proven itself, and is no change of it unfinished?", _look)
