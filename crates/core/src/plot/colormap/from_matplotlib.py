"""Writes anchors.rs and lut.txt beside this script from matplotlib's own colour maps.

    python from_matplotlib.py

anchors.rs: the evenly spaced colours between which each map runs linearly. They are facts: ColorBrewer's nine or eleven colours
(Greys to Spectral), and the two ends of summer, autumn and winter.
lut.txt: what matplotlib makes of them, one map a line: name, then its 256 colours as hexadecimal RGB. The tests compare with it.
"""

from pathlib import Path

import matplotlib
from matplotlib import _cm

NAMES = ["Greys", "Purples", "Blues", "Greens", "Oranges", "Reds", "summer", "autumn", "RdYlGn", "Spectral", "winter"]
HERE = Path(__file__).parent


def anchors(name):
    data = _cm.datad[name]
    if isinstance(data, dict):  # per channel ((position, value, value), ...): here always the two ends
        channels = [data[channel] for channel in ("red", "green", "blue")]
        assert all([point[0] for point in channel] == [0.0, 1.0] for channel in channels)
        return [tuple(channel[end][1] for channel in channels) for end in (0, 1)]
    return list(data)


def number(value):
    return repr(round(value * 255, 9))


def table(name):
    rows = "".join(f"    [{', '.join(number(c) for c in color)}],\n" for color in anchors(name))
    return f"pub(super) const {name.upper()}: &[[f64; 3]] = &[\n{rows}];\n"


tables = "\n".join(table(name) for name in NAMES)
(HERE / "anchors.rs").write_text(
    "//! Anchor colours, red, green and blue from 0 to 255.\n"
    f"//! Written by `from_matplotlib.py` from matplotlib {matplotlib.__version__}.\n\n{tables}"
)


def lut(name):
    return "".join(bytes(int(c) for c in matplotlib.colormaps[name](i, bytes=True)[:3]).hex() for i in range(256))


(HERE / "lut.txt").write_text("".join(f"{name} {lut(name)}\n" for name in NAMES))
