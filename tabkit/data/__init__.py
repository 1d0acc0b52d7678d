"""Data sets: real tables, planted rows whose truth is known, and your own frame.

Each is a `Dataset`: encoded rows, the outcomes that net1's distances are trained to match, the
signal that net0 sees, a split, and the truth about the categories, which no net sees.
"""

from tabkit.data.dataset import Dataset, from_frame
from tabkit.data.nycflights import flights, flights_frame
from tabkit.data.plant import PLACES, plant, planted
from tabkit.data.reading import Table, read_table
from tabkit.data.splits import pairs, split
from tabkit.data.tables import adult, bikeshare, census

__all__ = ["Dataset", "Table", "adult", "bikeshare", "census", "flights", "from_frame"]
__all__ += ["pairs", "planted", "read_table", "split"]
