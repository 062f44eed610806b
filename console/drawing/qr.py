"""A DID as a QR code, to compare it with what another screen shows (ISO/IEC 18004)."""

from __future__ import annotations

import segno
from markupsafe import Markup


def qr(text: str) -> Markup:
    """Return the code as SVG; nothing for a text that does not fit one."""
    try:
        made = segno.make(text, error="m", micro=False)
    except segno.DataOverflowError:
        return Markup("")
    path = "".join(f"M{x} {y}.5h1" for y, row in enumerate(made.matrix) for x, is_dark in enumerate(row) if is_dark)
    size = len(made.matrix)
    # The form is of digits and letters that were just made here; only the label is somebody else's.
    return Markup(
        '<svg class="qr" viewBox="-2 -2 {0} {0}" role="img" aria-label="QR code of {1}"><path d="{2}"/></svg>'
    ).format(size + 4, text, path)
